"""Every setting with its default."""

import re

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.limits import PAYLOAD_BYTES, RESULT_BYTES
from aiojobs_engine.core.retry import RetrySpec


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The common root of sections: unknown keys are refused."""


class WorkerSettings(_Section, frozen=True, kw_only=True):
    """`[worker]`.

    Attributes:
        concurrency: slots per process, at least 1.
        queues: None means the queues of all registered types.
        lease: seconds that a claim holds without renewal; a dead worker's jobs run again within this plus
            `rescue_interval`.
        drain_timeout: seconds that running jobs get at shutdown; `cancel_timeout` more after they were told.
        max_crashes: dead workers that a job may take with it before it is failed as `crashed_worker`.
    """

    concurrency: int = 100
    processes: int = 1
    queues: list[str] | None = None
    lease: float = 10.0
    rescue_interval: float = 2.0
    drain_timeout: float = 25.0
    cancel_timeout: float = 2.0
    cron: bool = True
    max_crashes: int = 5


class DefaultSettings(_Section, frozen=True, kw_only=True):
    """`[defaults]`: options of every job that nothing nearer sets. Seconds."""

    queue: str = "default"
    priority: int = 0
    timeout: float = 300.0
    result_ttl: float = 3600.0
    retry: RetrySpec = RetrySpec()


class OptionSettings(_Section, frozen=True, kw_only=True):
    """`[kinds.NAME]` and `[jobs.NAME]`: options of some jobs; None leaves it to the next level."""

    queue: str | None = None
    priority: int | None = None
    timeout: float | None = None
    result_ttl: float | None = None
    retry: RetrySpec | None = None
    max_crashes: int | None = None
    listeners: "ListenerOverrides | None" = None


class ListenerSettings(_Section, frozen=True, kw_only=True):
    """`[listeners]`: which built-in listeners run."""

    broadcast: bool = True
    log: bool = True
    notify: bool = False


class ListenerOverrides(_Section, frozen=True, kw_only=True):
    """`listeners` of one kind or type; None leaves it to the next level."""

    broadcast: bool | None = None
    log: bool | None = None
    notify: bool | None = None


class ChunkingSettings(_Section, frozen=True, kw_only=True):
    """`[chunking]`: rows per chunk, and up to how many rows one job does alone."""

    size: int = 1000
    threshold: int = 1000


class KeepSettings(_Section, frozen=True, kw_only=True):
    """How long final jobs stay, whichever comes first: `age` (seconds, or like "30s", "1d") and how many."""

    age: float | str = "1d"
    keep: int = 100_000


class RetentionSettings(_Section, frozen=True, kw_only=True):
    """`[retention]`: `completed` holds for partial, cancelled, discarded and expired jobs too."""

    completed: KeepSettings = KeepSettings()
    failed: KeepSettings = KeepSettings(age="30d")


class StorageSettings(_Section, frozen=True, kw_only=True):
    """`[storage]`: the directory that holds the rows of bulk jobs, shared by all workers."""

    path: str = "aiojobs-files"


class LimitSettings(_Section, frozen=True, kw_only=True):
    """`[limits]`: bytes."""

    payload_bytes: int = PAYLOAD_BYTES
    result_bytes: int = RESULT_BYTES


class SqliteSettings(_Section, frozen=True, kw_only=True):
    """`[sqlite]`: `full` keeps every acknowledged job through a power cut, `normal` may lose the newest."""

    durability: str = "full"


class Settings(_Section, frozen=True, kw_only=True):
    """The whole configuration."""

    url: str = "sqlite:///aiojobs.db"
    app: str | None = None
    worker: WorkerSettings = WorkerSettings()
    defaults: DefaultSettings = DefaultSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    listeners: ListenerSettings = ListenerSettings()
    kinds: dict[str, OptionSettings] = {}
    jobs: dict[str, OptionSettings] = {}
    retention: RetentionSettings = RetentionSettings()
    storage: StorageSettings = StorageSettings()
    limits: LimitSettings = LimitSettings()
    sqlite: SqliteSettings = SqliteSettings()


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def seconds_of(duration: float | str) -> float:
    """Seconds of a number, or of "500ms", "30s", "5m", "2h", "1d".

    Raises:
        ConfigError: it is none of these, or negative.
    """
    if isinstance(duration, str):
        found = _DURATION.fullmatch(duration.strip())
        if found is None:
            raise ConfigError(
                f"a duration is a number of seconds or like '30s', '5m', '2h', '1d', got {duration!r}"
            )
        return float(found.group(1)) * _UNITS[found.group(2)]
    if not 0 <= duration < float("inf"):
        raise ConfigError(f"a duration is at least 0 seconds, got {duration!r}")
    return float(duration)
