"""The immutable domain object, and the options that say when, where and how it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, Protocol, TypedDict, TypeVar, cast

import msgspec

from aiojobs_engine.core.breaker import Breaker, checked_breaker
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.flow import Step
from aiojobs_engine.core.limiting import (
    Concurrency,
    Rate,
    checked_concurrency,
    checked_rate_limit,
    limit_names,
)
from aiojobs_engine.core.limits import (
    KEY_CHARS,
    LARGEST_WEIGHT,
    LEAST_WEIGHT,
    PRIORITY,
    TAGS,
    checked_name,
    is_storable,
)
from aiojobs_engine.core.needs import Need
from aiojobs_engine.core.retry import Retry, RetrySpec
from aiojobs_engine.core.status import UserId
from aiojobs_engine.core.unique import Unique, checked_unique

R = TypeVar("R")

Handle_co = TypeVar("Handle_co", covariant=True)


class Named(Protocol):
    """What has a job's id: a `Job`, a handle, a status."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...


After = str | Named | Need
RunIn = Literal["loop", "thread", "process"]


class CommonOptions(TypedDict, total=False):
    """What `.options(...)` takes for one call, and a decorator for all jobs of its type.

    Times are seconds or `timedelta`s, instants are aware `datetime`s. `delay` and `at` exclude each other;
    `expires` is a time from the dispatch or an instant. A `timeout` of 0 means none. `unique` is a rule, a
    key, or True for all arguments.
    """

    queue: str
    priority: int
    retry: Retry
    timeout: float | timedelta
    expires: float | timedelta | datetime
    delay: float | timedelta
    at: datetime
    user_id: UserId
    tags: Sequence[str]
    meta: Mapping[str, Any]
    result_ttl: float | timedelta
    max_crashes: int
    unique: Unique | str | bool
    cost: int
    limit_key: str
    fair_key: str
    fair_weight: float


class CallOptions(CommonOptions, total=False):
    """What `.options(...)` takes beside that.

    Attributes:
        after: jobs that have to complete before this one starts: handles, jobs, ids, or `Need`s where another
            end will do.
    """

    id: str
    after: After | Sequence[After]


class TypeOptions(CommonOptions, total=False):
    """What a decorator takes beside that."""

    name: str
    run_in: RunIn
    kind: str
    label: str
    concurrency: int | Concurrency
    rate_limit: str | Rate
    breaker: Breaker | bool


_COMMON = frozenset(CommonOptions.__annotations__)
CALL_OPTIONS = _COMMON | frozenset(CallOptions.__annotations__)
TYPE_OPTIONS = _COMMON | frozenset(TypeOptions.__annotations__)
_LIMITS = (
    "; limits belong to types, queues and keys: set it in the decorator, in [jobs.NAME] or by "
    "engine.limits.set, and say limit_key and cost at the call"
)
_OF_TYPES = {
    "concurrency": _LIMITS,
    "rate_limit": _LIMITS,
    "breaker": "; a breaker belongs to a type: set it in the decorator or in [jobs.NAME]",
    "run_in": "; a type runs in one place: set it in the decorator or in [jobs.NAME]",
    "name": "; a type has one name: set it in the decorator",
}


class Job(Step, msgspec.Struct, Generic[R], frozen=True, kw_only=True, gc=False):
    """One durable unit of work: handler key, payload, metadata, id. Dispatched twice it is one job."""

    id: str
    type: str
    kind: str
    payload: bytes
    options: Mapping[str, Any]
    strategy: str = "single"

    async def push(self, dispatcher: Dispatcher[Handle_co]) -> Handle_co:
        """The same as `engine.dispatch(job)`."""
        return await dispatcher.dispatch(self)


class Dispatcher(Protocol[Handle_co]):
    """Whatever takes jobs: the engine."""

    async def dispatch(self, job: Job[Any], /) -> Handle_co:
        """Store the job."""
        ...


def checked_options(options: Mapping[str, Any], known: frozenset[str], owner: str) -> dict[str, Any]:
    """The options in their stored form: times as seconds, policies checked, names checked.

    Raises:
        ConfigError: an option is unknown (with the nearest name), of the wrong type or out of range.
    """
    for name in options:
        if name not in known:
            hint = _OF_TYPES.get(name) or did_you_mean(name, known)
            raise ConfigError(f"{owner} has no option {name!r}{hint}")
    if "delay" in options and "at" in options:
        raise ConfigError(f"{owner}: delay and at exclude each other")
    return {name: _CHECKS[name](value, f"{owner}: {name}") for name, value in options.items()}


def check_keys(options: Mapping[str, Any], arguments: Sequence[str], owner: str) -> None:
    """Nothing, when the arguments of which options make keys exist.

    Raises:
        ConfigError: one doesn't; the error names the nearest.
    """
    unique: Unique | None = options.get("unique")
    used = {"unique": None if unique is None else unique.names, "a limit": limit_names(options, owner)}
    for what, names in used.items():
        for name in names or ():
            if name not in arguments:
                raise ConfigError(
                    f"{owner}: {what} is by {name!r}, no argument{did_you_mean(name, arguments)}"
                )


def _seconds(value: object, owner: str) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise ConfigError(f"{owner} must be seconds of at least 0 or a timedelta, got {value!r:.80}")
    return float(value)


def _instant(value: object, owner: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigError(f"{owner} must be a datetime with a time zone, got {value!r:.80}")
    return value


def _bound(value: object, owner: str) -> float | datetime:
    return _instant(value, owner) if isinstance(value, datetime) else _seconds(value, owner)


def _priority(value: object, owner: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -PRIORITY <= value <= PRIORITY:
        raise ConfigError(f"{owner} must be a whole number within ±{PRIORITY:,}, got {value!r:.80}")
    return value


def _count(value: object, owner: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{owner} must be a whole number of at least 1, got {value!r:.80}")
    return value


def _retry(value: object, owner: str) -> Retry:
    if isinstance(value, RetrySpec):
        return Retry(value)
    if isinstance(value, Retry):
        return value
    raise ConfigError(f"{owner} must be made by Retry.none, fixed, exponential or custom, got {value!r:.80}")


def _tags(value: object, owner: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{owner} must be a list of strings, got {value!r:.80}")
    tags = cast("Sequence[str]", value)
    if len(tags) > TAGS:
        raise ConfigError(f"{owner} must be at most {TAGS}, got {len(tags):,}")
    return tuple(checked_name(tag, "a tag") for tag in tags)


def _meta(value: object, owner: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        given = cast("Mapping[object, Any]", value)
        if all(isinstance(key, str) for key in given):
            return dict(cast("Mapping[str, Any]", given))
    raise ConfigError(f"{owner} must be a mapping with string keys, got {value!r:.80}")


def _user_id(value: object, owner: str) -> UserId:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ConfigError(f"{owner} must be a string or a whole number, got {value!r:.80}")
    if isinstance(value, str) and not is_storable(value):
        raise ConfigError(f"{owner} must be text without NUL and lone surrogates, got {value!r:.80}")
    if len(value) > KEY_CHARS if isinstance(value, str) else abs(value) >= 10**KEY_CHARS:
        raise ConfigError(f"{owner} must have at most {KEY_CHARS} characters or digits")
    return value


def _run_in(value: object, owner: str) -> str:
    if value not in ("loop", "thread", "process"):
        raise ConfigError(f"{owner} must be 'loop', 'thread' or 'process', got {value!r:.80}")
    return str(value)


def _label(value: object, owner: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigError(f"{owner} must be a line of text for people, got {value!r:.80}")
    return value


def _name(value: object, owner: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{owner} must be a string, got {value!r:.80}")
    return checked_name(value, owner)


def _after(value: object, owner: str) -> tuple[Need, ...]:
    several = cast("Sequence[object]", value if isinstance(value, list | tuple) else [value])
    return tuple(_need(each, owner) for each in several)


def _need(value: object, owner: str) -> Need:
    if isinstance(value, Need):
        return value
    job_id = value if isinstance(value, str) else getattr(value, "id", None)
    if not isinstance(job_id, str):
        raise ConfigError(f"{owner} takes handles, jobs, ids or Needs, got {value!r:.80}")
    return Need(checked_name(job_id, owner))


def _unique(value: object, owner: str) -> Unique | None:
    return None if value is False or value is None else checked_unique(value, owner)


def _key(value: object, owner: str) -> str:
    if isinstance(value, str) and len(value) <= KEY_CHARS and is_storable(value):
        return value
    raise ConfigError(f"{owner} must be text of at most {KEY_CHARS} characters, got {value!r:.80}")


def _weight(value: object, owner: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not LEAST_WEIGHT <= value <= LARGEST_WEIGHT
    ):
        raise ConfigError(f"{owner} must be a number within 0.001 to 1,000, got {value!r:.80}")
    return float(value)


_CHECKS = {
    "after": _after,
    "id": _name,
    "name": _name,
    "queue": _name,
    "priority": _priority,
    "retry": _retry,
    "timeout": _seconds,
    "expires": _bound,
    "delay": _seconds,
    "at": _instant,
    "user_id": _user_id,
    "tags": _tags,
    "meta": _meta,
    "result_ttl": _seconds,
    "max_crashes": _count,
    "run_in": _run_in,
    "kind": _name,
    "label": _label,
    "unique": _unique,
    "cost": _count,
    "limit_key": _key,
    "fair_key": _key,
    "fair_weight": _weight,
    "concurrency": checked_concurrency,
    "rate_limit": checked_rate_limit,
    "breaker": checked_breaker,
}
