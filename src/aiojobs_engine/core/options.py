"""Which option holds for a job: call over `[jobs]` over decorator over `[kinds]` over `[defaults]`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from aiojobs_engine.core.config import QueueSettings, Settings
from aiojobs_engine.core.errors import did_you_mean
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.core.job_settings import DECLARING, OptionSettings
from aiojobs_engine.core.limiting import (
    Concurrency,
    checked_concurrency,
    checked_rate_limit,
    limit_names,
    limits_of,
)
from aiojobs_engine.core.retry import Retry

KINDS = ("job", "import", "export", "sync", "report")
_APART = ("listeners", "delivery", "chunking", "storage", "run_in", *DECLARING)
_CARRIED = ("delay", "expires", "user_id", "tags", "meta", "unique", "cost", "limit_key", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The options of one job type without those of a call.

    Attributes:
        timeout: seconds; 0 means none.
        extra: the other options of the decorator (`delay`, `expires`, `tags`, `meta`, ...), checked.
    """

    queue: str
    priority: int
    retry: Retry
    timeout: float
    result_ttl: float
    max_crashes: int
    extra: Mapping[str, Any]


def resolve(name: str, kind: str, decorated: Mapping[str, Any], settings: Settings) -> Resolved:
    """The options of the type `name`, the nearest level first; `decorated` is what its decorator set."""
    own = _set_fields(settings.jobs.get(name))
    of_kind = _set_fields(settings.kinds.get(kind))
    fallback: dict[str, Any] = msgspec.structs.asdict(settings.defaults) | {
        "max_crashes": settings.worker.max_crashes
    }
    levels: dict[str, Any] = {**fallback, **of_kind, **decorated, **own}
    retry = levels.pop("retry")
    known = {
        field: levels.pop(field) for field in ("queue", "priority", "timeout", "result_ttl", "max_crashes")
    }
    return Resolved(retry=retry if isinstance(retry, Retry) else Retry(retry), extra=levels, **known)


def published(options: Resolved) -> dict[str, Any]:
    """What a dispatch by name needs to know of a type's options beside its queue, as plain JSON data."""
    extra = {name: options.extra[name] for name in _CARRIED if options.extra.get(name) is not None}
    if not isinstance(extra.get("expires", 0.0), float | int):
        del extra["expires"]
    if names := limit_names(options.extra, "limits"):
        extra["limit_by"] = list(names)
    if "unique" in extra:
        extra["unique"] = msgspec.to_builtins(extra["unique"])
    return {"priority": options.priority, **extra}


def declared_limits(
    types: Mapping[str, Resolved], queues: Mapping[str, QueueSettings], watched: Iterable[str]
) -> list[Limit]:
    """What code and configuration limit, of these types and of the queues that a worker watches."""
    found = [
        limit
        for name, options in types.items()
        for limit in limits_of(
            options.queue,
            name,
            checked_concurrency(options.extra.get("concurrency"), f"{name}: concurrency"),
            checked_rate_limit(options.extra.get("rate_limit"), f"{name}: rate_limit"),
        )
    ]
    for name in watched:
        queue = queues.get(name) or QueueSettings()
        slots = None if queue.concurrency is None else Concurrency(queue.concurrency)
        rate = checked_rate_limit(queue.rate_limit, f"queues.{name}.rate_limit")
        found += [
            msgspec.structs.replace(limit, max_pending=queue.max_pending, overflow=queue.overflow)
            for limit in limits_of(name, "", slots, rate)
        ]
    return found


def _set_fields(section: OptionSettings | None) -> dict[str, Any]:
    if section is None:
        return {}
    fields = msgspec.structs.asdict(section)
    for name in _APART:
        fields.pop(name, None)
    return {name: value for name, value in fields.items() if value is not None}


def layered(
    settings: Settings,
    section: Literal["delivery", "chunking", "storage"],
    name: str,
    kind: str,
    *,
    decorated: msgspec.Struct | None = None,
    called: msgspec.Struct | None = None,
) -> Any:
    """A section as it holds for a job: call over `[jobs]` over decorator over `[kinds]` over the section."""
    own, of_kind = settings.jobs.get(name), settings.kinds.get(kind)
    found: msgspec.Struct = getattr(settings, section)
    for level in (
        of_kind and getattr(of_kind, section),
        decorated,
        own and getattr(own, section),
        called,
    ):
        if level is not None:
            given = {key: value for key, value in msgspec.structs.asdict(level).items() if value is not None}
            found = msgspec.structs.replace(found, **given)
    return found


def strangers(settings: Settings, types: Mapping[str, str]) -> list[str]:
    """What the configuration names and no registered type is or has, each with the nearest that is there.

    Args:
        types: the kinds of the registered types, by name.
    """
    kinds = {*KINDS, *types.values()}
    told = [
        f"[jobs.{name}] is for no job type that is registered here{did_you_mean(name, types)}"
        for name in settings.jobs
        if name not in types
    ]
    return told + [
        f"[kinds.{kind}] is for no kind of jobs{did_you_mean(kind, kinds)}"
        for kind in settings.kinds
        if kind not in kinds
    ]
