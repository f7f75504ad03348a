"""Stores by URL. A backend, and the driver that it needs, is imported only when a URL asks for it."""

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.limits import is_storable
from aiojobs_engine.core.masking import redacted
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock

GROUP = "aiojobs_engine.backends"

_EXAMPLES = {
    "memory": "memory://",
    "sqlite": "sqlite:///jobs.db",
    "redis": "redis://localhost:6379/0",
    "rediss": "rediss://localhost:6379/0",
    "redis+sentinel": "redis+sentinel://localhost:26379/mymaster/0",
    "redis+cluster": "redis+cluster://localhost:7000",
    "unix": "unix:///run/redis.sock",
}
_REDIS = frozenset({"redis", "rediss", "redis+sentinel", "redis+cluster", "unix"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*", re.IGNORECASE)


class Factory(Protocol):
    """What an entry point of the group `aiojobs_engine.backends` offers, under its URL scheme."""

    def __call__(self, url: str, *, clock: Clock, settings: Settings) -> Store:
        """A store that is not open yet."""
        ...


def open_backend(url: str, *, clock: Clock, settings: Settings) -> Store:
    """The store that `url` names, not open yet.

    Raises:
        ConfigError: the URL is malformed, or no backend has its scheme; the error shows no password.
    """
    scheme = checked_scheme(url)
    if scheme == "memory":
        _check_rest(url, url.partition("://")[2] == "", "takes nothing after memory://")
        from aiojobs_engine.backends.memory import MemoryBackend

        return MemoryBackend(clock=clock)
    if scheme == "sqlite":
        path = sqlite_path(url)
        from aiojobs_engine.backends.sqlite import SqliteBackend

        return SqliteBackend(path, clock=clock, durability=settings.sqlite.durability)
    if scheme in _REDIS:
        from aiojobs_engine.backends.redis import open_redis

        partitions = {name: queue.partitions for name, queue in settings.queues.items()}
        return open_redis(url, clock=clock, partitions=partitions)
    return _factory(scheme)(url, clock=clock, settings=settings)


def checked_scheme(url: str) -> str:
    """The scheme of a URL that some backend takes, in lower case.

    Raises:
        ConfigError: there is no such backend.
    """
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"a URL is text like 'sqlite:///jobs.db', got {url!r:.80}")
    scheme, separator, _ = url.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        raise ConfigError(f"{redacted(url)!r:.200} is no URL of a backend; it looks like 'sqlite:///jobs.db'")
    scheme = scheme.lower()
    if scheme in _EXAMPLES or scheme in _installed():
        return scheme
    known = {*_EXAMPLES, *_installed()}
    hint = did_you_mean(scheme, sorted(known)) or f"; there are {', '.join(sorted(known))}"
    example = next((_EXAMPLES[name] for name in _EXAMPLES if f"{name!r}?" in hint), _EXAMPLES["sqlite"])
    raise ConfigError(f"no backend has the scheme {scheme!r}{hint}, for example {example!r}")


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        ConfigError: the URL names none, or a host.
    """
    rest = url.partition("://")[2]
    form = "is written sqlite:///relative.db or sqlite:////absolute.db"
    _check_rest(url, rest.startswith("/") and len(rest) > 1, form)
    name = unquote(rest[1:])
    _check_rest(url, not name.endswith("/") and "?" not in name and is_storable(name), form)
    _check_rest(url, name != ":memory:", "names a file; for a store in memory use memory://")
    return Path(name)


def _check_rest(url: str, is_right: bool, form: str) -> None:  # noqa: FBT001 - the fact, not a switch
    if not is_right:
        raise ConfigError(f"{redacted(url)!r:.200}: the URL {form}")


def _installed() -> set[str]:
    return {point.name.lower() for point in entry_points(group=GROUP)}


def _factory(scheme: str) -> Factory:
    point = next(point for point in entry_points(group=GROUP) if point.name.lower() == scheme)
    loaded: object = point.load()
    if not callable(loaded):
        raise ConfigError(
            f"the entry point {point.value!r} of the scheme {scheme!r} is no backend: {loaded!r:.80}"
        )
    return cast("Factory", loaded)
