"""Which option holds for a job: call over `[jobs]` over decorator over `[kinds]` over `[defaults]`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aiojobs_engine.core.config import OptionSettings, Settings
from aiojobs_engine.core.retry import Retry

_SECTIONS = ("listeners", "delivery")
_CARRIED = ("delay", "expires", "user_id", "tags", "meta", "unique")


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
    if "unique" in extra:
        extra["unique"] = msgspec.to_builtins(extra["unique"])
    return {"priority": options.priority, **extra}


def _set_fields(section: OptionSettings | None) -> dict[str, Any]:
    if section is None:
        return {}
    fields = msgspec.structs.asdict(section)
    for section_of_its_own in _SECTIONS:
        del fields[section_of_its_own]
    return {name: value for name, value in fields.items() if value is not None}
