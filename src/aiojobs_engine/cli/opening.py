"""Which engine a command works on: TARGET or --url, the environment, the configuration; and opening it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from aiojobs_engine.backends import checked_scheme, sqlite_path
from aiojobs_engine.cli.output import mask_by
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.engine import Engine
from aiojobs_engine.lifetime.configured import undeclared
from aiojobs_engine.settings import load_settings
from aiojobs_engine.target import is_target, load

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_NO_TARGET = "there is no TARGET: give module:attribute, like app:engine, or set AIOJOBS_APP"


def url_option(command: F) -> F:
    """`--url`, in the place of TARGET."""
    return click.option("--url", metavar="URL", help="Where the jobs lie, in the place of TARGET.")(command)


def json_option(command: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """The value of an async function, on a loop of its own."""

    async def main() -> T:
        return await work()

    return asyncio.run(main())


def user_of(text: str | None) -> int | str | None:
    """A user id as it was typed: whole numbers are numbers."""
    return (
        int(text)
        if text is not None and text.isascii() and text.isdigit() and str(int(text)) == text
        else text
    )


def parted(
    arguments: Sequence[str], url: str | None, *, least: int, names: str
) -> tuple[str | None, list[str]]:
    """TARGET and the other arguments: TARGET is the first when it looks like one and enough others follow.

    Raises:
        UsageError: fewer than `least` arguments are left; `names` says which they are.
    """
    rest = list(arguments)
    target = rest.pop(0) if url is None and len(rest) > least and is_target(rest[0]) else None
    if len(rest) < least:
        raise click.UsageError(f"{names} is missing", click.get_current_context())
    return target, rest


async def engine_with_jobs(target: str | None) -> Engine:
    """The engine at TARGET, that of AIOJOBS_APP, or of `app` in the configuration.

    Raises:
        ConfigError: there is none, or it is no engine.
    """
    chosen = target or load_settings().app
    if chosen is None:
        raise ConfigError(_NO_TARGET)
    found = await load(chosen)
    if not isinstance(found, Engine):
        hint = "; give it parentheses where it is made" if isinstance(found, type) else ""
        raise ConfigError(f"{chosen} is no Engine, but {type(found).__name__}{hint}")
    found.target = chosen
    found.declare_configured()
    mask_by(found.settings.masker)
    return found


def check_shared(engine: Engine) -> Engine:
    """`engine` itself, when what this process stores outlives it.

    Raises:
        ConfigError: its jobs lie in memory.
    """
    if engine.settings.url.startswith("memory:"):
        raise ConfigError(
            "memory:// ends with this command, so nobody could run the job; use sqlite:///jobs.db"
        )
    return engine


async def engine_for(target: str | None, url: str | None) -> Engine:
    """The engine of a command that needs no job code: by --url, TARGET, the environment, the configuration.

    Raises:
        ConfigError: --url and TARGET are both given, or no database is where the URL says.
    """
    if url is not None and target is not None:
        raise ConfigError("give TARGET or --url, not both")
    settings = load_settings()
    if target is not None:
        return await engine_with_jobs(target)
    chosen = settings.url if url is None else url
    if url is None and settings.app is not None and (chosen == Settings().url or not _is_there(chosen)):
        return await engine_with_jobs(None)
    _check_presence(chosen)
    mask_by(settings.masker)
    return Engine(chosen, config=undeclared(settings))


@asynccontextmanager
async def opened(target: str | None, url: str | None) -> AsyncGenerator[Engine]:
    """`engine_for`, open."""
    async with await engine_for(target, url) as engine:
        yield engine


def _check_presence(url: str) -> None:
    """Refuse to make an empty database where a person looks for jobs."""
    if not _is_there(url):
        path = str(sqlite_path(url).absolute())
        raise ConfigError(f"there is no database {path!r}: check --url or AIOJOBS_URL, or give TARGET")


def _is_there(url: str) -> bool:
    return checked_scheme(url) != "sqlite" or sqlite_path(url).exists()
