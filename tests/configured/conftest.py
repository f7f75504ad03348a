"""An application whose job types stand in its configuration, in a directory of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TASKS = '''
"""Handlers that know nothing of the engine's decorators."""

from collections.abc import AsyncIterator

import msgspec

from aiojobs_engine import JobContext

SEEN: list[object] = []


class User(msgspec.Struct):
    email: str
    age: int


async def import_users(ctx: JobContext, rows: list[User]) -> None:
    SEEN.extend(rows)


class Users:
    """Made once; its state is its own."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, rows: list[User]) -> None:
        self.calls += 1
        SEEN.append((self.calls, len(rows)))


async def export_users(ctx: JobContext, least: int = 0) -> AsyncIterator[User]:
    after = -1 if ctx.cursor is None else ctx.cursor
    for n in range(10):
        if n > after and n >= least:
            yield User(f"u{n}@example.org", n)


async def sync_users(ctx: JobContext, pages: int) -> int:
    async for page in ctx.track(range(pages)):
        SEEN.append(page)
    return pages


def report(month: str) -> str:
    return f"report of {month}"


async def halves(least: int) -> list[str]:
    return ["a", "b"]


class Silent:
    pass


class Needy:
    def __init__(self, pool: object) -> None:
        pass

    async def __call__(self) -> None:
        pass


NUMBER = 5
'''


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a package `shop` that has a module `tasks`."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(TASKS, encoding="utf-8")
    path, before = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"shop", "app"}:
            del sys.modules[name]
