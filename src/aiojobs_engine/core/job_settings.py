"""What the configuration says of some jobs, by kind and by type; and the words that all sections use."""

from typing import Annotated, Any, Literal

import msgspec

from aiojobs_engine.core.breaker import Breaker
from aiojobs_engine.core.limiting import Concurrency, Rate
from aiojobs_engine.core.limits import LARGEST_WEIGHT, LEAST_WEIGHT, PRIORITY
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.core.status import UserId
from aiojobs_engine.core.unique import Unique

Seconds = Annotated[float, msgspec.Meta(ge=0, lt=2**40, title="seconds")]
"""A duration; files and the environment may say "30s", "5m", "2h", "1d" too."""

LeaseSeconds = Annotated[float, msgspec.Meta(ge=0.1, lt=2**40, title="seconds")]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Priority = Annotated[int, msgspec.Meta(ge=-PRIORITY, le=PRIORITY)]
Weight = Annotated[float, msgspec.Meta(ge=LEAST_WEIGHT, le=LARGEST_WEIGHT)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:\-]{1,128}\Z")]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The common root of sections: unknown keys are refused."""


DeliveryMode = Literal["download", "link", "both"]
"""Where the file of an export goes: to the path that the call names, into the storage, or both."""


class ListenerOverrides(Section, frozen=True, kw_only=True):
    """`listeners` of one kind or type; None leaves it to the next level."""

    broadcast: bool | None = None
    log: bool | None = None
    notify: bool | None = None


class ChunkingOverrides(Section, frozen=True, kw_only=True):
    """`chunking` of one kind or type; None leaves it to the next level."""

    size: AtLeastOne | None = None
    threshold: Annotated[int, msgspec.Meta(ge=0)] | None = None


class DeliveryOverrides(Section, frozen=True, kw_only=True):
    """`delivery` of one kind or type; None leaves it to the next level."""

    mode: DeliveryMode | None = None
    keep: Literal["temporary", "permanent"] | None = None
    ttl: Seconds | None = None


class StorageOverrides(Section, frozen=True, kw_only=True):
    """`storage` of one kind or type; None leaves it to the next level."""

    path: str | None = None
    driver: str | None = None
    ttl: Seconds | None = None


class OptionSettings(Section, frozen=True, kw_only=True):
    """`[kinds.NAME]` and `[jobs.NAME]`: options of some jobs; None leaves it to the next level.

    Attributes:
        timeout: seconds that one run may take; 0 means no bound.
        delay, expires: seconds from the dispatch.
    """

    queue: Name | None = None
    priority: Priority | None = None
    timeout: Seconds | None = None
    result_ttl: Seconds | None = None
    retry: RetrySpec | None = None
    max_crashes: AtLeastOne | None = None
    delay: Seconds | None = None
    expires: Seconds | None = None
    user_id: UserId | None = None
    tags: tuple[Name, ...] | None = None
    meta: dict[str, Any] | None = None
    unique: Unique | None = None
    concurrency: int | Concurrency | None = None
    rate_limit: str | Rate | None = None
    cost: AtLeastOne | None = None
    breaker: Breaker | None = None
    listeners: ListenerOverrides | None = None
    delivery: DeliveryOverrides | None = None
    chunking: ChunkingOverrides | None = None
    storage: StorageOverrides | None = None
    label: str | None = None


class JobSettings(OptionSettings, frozen=True, kw_only=True):
    """`[jobs.NAME]`: options of one job type; with `handler` they declare it.

    Attributes:
        run_in: where workers run it, when it is a plain function.
        handler: `module:attribute` of a function, or of a class whose objects can be called.
        kind: `job` without one.
        row: of an importer, `module:attribute` of its row type.
        key: of an importer, the field that tells rows apart; of an exporter, what its rows are ordered by.
        columns, formulas, parallel, spread: of an exporter, as its decorator takes them.
        parts: of an exporter, `module:attribute` of the function that names its parts.
        format, encoding, delimiter, header, sheet: as the decorators take them.
    """

    run_in: Literal["thread", "process"] | None = None
    handler: str | None = None
    kind: Name | None = None
    row: str | None = None
    key: str | tuple[str, ...] | None = None
    columns: tuple[str, ...] | dict[str, str] | None = None
    formulas: tuple[str, ...] | None = None
    parts: str | None = None
    parallel: AtLeastOne | None = None
    spread: bool | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    sheet: str | None = None


_OPTIONS = {*OptionSettings.__struct_fields__, "run_in"}

DECLARING = tuple(name for name in JobSettings.__struct_fields__ if name not in _OPTIONS)
"""The keys of `[jobs.NAME]` that declare a type; all others are options of any type."""
