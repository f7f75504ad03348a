"""Stores by URL: lazily imported, and every wrong URL explained."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine
from aiojobs_engine import backends as module
from aiojobs_engine.backends import open_backend, sqlite_path
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.masking import redacted
from aiojobs_engine.testing import ManualClock

CLOCK = ManualClock()


def opened(url: str) -> Any:
    return open_backend(url, clock=CLOCK, settings=Settings())


def refused(url: str) -> str:
    with pytest.raises(ConfigError) as caught:
        opened(url)
    with pytest.raises(ConfigError):
        Engine(url)._life.storage.open("x")
    return str(caught.value)


def test_a_scheme_names_the_backend() -> None:
    assert type(opened("memory://")).__name__ == "MemoryBackend"
    assert type(opened("MEMORY://")).__name__ == "MemoryBackend"
    assert type(opened("sqlite:///a.db")).__name__ == "SqliteBackend"
    for url in ("redis://h", "rediss://h", "unix:///s", "redis+sentinel://h/m", "redis+cluster://h:1,i:2"):
        assert type(opened(url)).__name__ == "RedisBackend"


@pytest.mark.parametrize(
    "url, path",
    [
        ("sqlite:///jobs.db", "jobs.db"),
        ("sqlite:///data/jobs.db", "data/jobs.db"),
        ("sqlite:////var/lib/jobs.db", "/var/lib/jobs.db"),
        ("sqlite:///two%20words.db", "two words.db"),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize(
    "url, message",
    [
        ("jobs.db", "'jobs.db' is no URL of a backend; it looks like 'sqlite:///jobs.db'"),
        ("", "'' is no URL of a backend; it looks like 'sqlite:///jobs.db'"),
        ("sqlite:/jobs.db", "'sqlite:/jobs.db' is no URL of a backend; it looks like 'sqlite:///jobs.db'"),
        ("://x", "'://x' is no URL of a backend; it looks like 'sqlite:///jobs.db'"),
        (
            "sqlit:///jobs.db",
            "no backend has the scheme 'sqlit'; did you mean 'sqlite'?, for example 'sqlite:///jobs.db'",
        ),
        (
            "reddis://x",
            "no backend has the scheme 'reddis'; did you mean 'redis'?, for example 'redis://localhost:6379/0'",
        ),
    ],
)
def test_a_wrong_url_is_explained(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(url)
    assert str(caught.value) == message
    with pytest.raises(ConfigError):
        Engine(url)


@pytest.mark.parametrize(
    "url", ["sqlite://jobs.db", "sqlite://", "sqlite:///", "sqlite:///d/", "sqlite:///a.db?x=1"]
)
def test_a_wrong_sqlite_url_shows_the_two_forms(url: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///relative.db or sqlite:////absolute.db"):
        opened(url)


def test_sqlite_in_memory_is_pointed_to_memory() -> None:
    with pytest.raises(ConfigError, match="use memory://"):
        opened("sqlite:///:memory:")


def test_a_wrong_redis_url_is_explained() -> None:
    with pytest.raises(ConfigError, match="name"):
        opened("redis+sentinel://h")


def test_memory_takes_nothing_more() -> None:
    with pytest.raises(ConfigError, match="takes nothing after"):
        opened("memory://x")


@pytest.mark.parametrize(
    "url, shown",
    [
        ("redis://user:secret@host:1/0", "redis://user:***@host:1/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis+cluster://u:s%40cret@a:1,b:2", "redis+cluster://u:***@a:1,b:2"),
        ("sqlite:///jobs.db", "sqlite:///jobs.db"),
        ("x://u:secret@[bad", "x://u:***@[bad"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    "url",
    ["reddis://u:secret@host", "sqlite://u:secret@host/x", "memory://u:secret@host", "a b://u:secret@h"],
)
def test_errors_show_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(url)

    assert "secret" not in str(caught.value)


def test_settings_show_no_password() -> None:
    shown = repr(Settings(url="redis://u:hunter2@host"))

    assert "hunter2" not in shown
    assert shown.startswith("Settings(url='redis://u:***@host', app=None, worker=WorkerSettings(")


def test_a_backend_of_others_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []

    def factory(url: str, *, clock: Any, settings: Settings) -> MemoryBackend:
        calls.append((url, settings.url))
        return MemoryBackend(clock=clock)

    class Point(EntryPoint):
        def load(self) -> Any:
            return factory

    point = Point("mine", "somewhere:factory", module.GROUP)
    monkeypatch.setattr(module, "entry_points", lambda *, group: [point] if group == module.GROUP else [])

    assert isinstance(opened("mine://here"), MemoryBackend)
    assert calls == [("mine://here", Settings().url)]
    assert Engine("mine://here").settings.url == "mine://here"
    with pytest.raises(ConfigError, match=r"did you mean 'mine'\?"):
        opened("mime://here")


def test_an_entry_point_that_is_no_factory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("odd", "math:pi", module.GROUP)
    monkeypatch.setattr(module, "entry_points", lambda *, group: [point])

    with pytest.raises(ConfigError, match="'math:pi' of the scheme 'odd' is no backend"):
        opened("odd://x")


def test_memory_loads_no_driver() -> None:
    code = (
        "import sys, aiojobs_engine; aiojobs_engine.Engine('memory://'); "
        "print(*({'aiosqlite', 'sqlite3', 'redis'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == []
