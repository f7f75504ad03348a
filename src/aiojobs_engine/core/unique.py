"""Unique jobs: which stored job keeps a dispatch out, and what becomes of the dispatch then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal, cast

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError, PayloadError, did_you_mean
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.limits import KEY_CHARS, is_storable
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.uniqueness import OPEN, UniqueKey

REPLACEABLE = frozenset({Status.SCHEDULED, Status.PENDING})
"""The statuses in which a job may take over what a later dispatch brings."""

_WITHIN_WINDOW = (*OPEN, Status.COMPLETED, Status.PARTIAL)
_DIGEST_BYTES = 16

UniqueMode = Literal["keep", "replace", "debounce"]
Time = Annotated[float, msgspec.Meta(ge=0, lt=2**40, title="seconds")]


class Unique(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One job at a time per key, in its queue. The job that is there keeps others out.

    Attributes:
        by: the arguments that make the key, one name or several; None takes all of them.
        window: seconds or a `timedelta`; a job keeps others out for so long after its dispatch. Without one,
            as long as it has one of `states`.
        states: in which the job that is there keeps others out. By default every one that is not final;
            with a `window` also `completed` and `partial`.
        key: a key of your own instead of arguments, 1 to 200 characters, for all types of the queue.
        mode: `keep` leaves the job that is there as it is. `replace` gives it the arguments and options of
            the new dispatch while it has not been claimed. `debounce` does the same, and puts it off: it
            runs `delay` after the last dispatch, but no later than `max_wait` after the first.
        delay, max_wait: seconds or `timedelta`s, of `debounce`.
    """

    by: str | tuple[str, ...] | None = None
    window: Time | None = None
    states: tuple[Status, ...] | None = None
    key: str | None = None
    mode: UniqueMode = "keep"
    delay: Time | None = None
    max_wait: Time | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The arguments that make the key; None for all, or when there is a key."""
        return (self.by,) if isinstance(self.by, str) else self.by


def unique_key(unique: Unique, job_type: str, payload: bytes) -> UniqueKey:
    """What an envelope carries: the key of these encoded arguments, and the rule.

    Raises:
        PayloadError: an argument that makes the key is missing.
    """
    return UniqueKey(
        key=f"={unique.key}"
        if unique.key is not None
        else f"{job_type}:{digest(payload, unique.names, job_type)}",
        states=unique.states or (OPEN if unique.window is None else _WITHIN_WINDOW),
        window=None if unique.window is None else round(unique.window * 1000),
        replaces=unique.mode != "keep",
        max_wait=None if unique.max_wait is None else round(unique.max_wait * 1000),
    )


def digest(payload: bytes, names: Sequence[str] | None, owner: str) -> str:
    """Hexadecimal digest of some encoded arguments, of all without `names`.

    Raises:
        PayloadError: one of them is missing.
    """
    chosen = arguments(payload, names, owner)
    return blake2b(msgspec.json.encode(chosen, order="sorted"), digest_size=_DIGEST_BYTES).hexdigest()


def arguments(payload: bytes, names: Sequence[str] | None, owner: str) -> dict[str, Any]:
    """Some of the encoded arguments by name.

    Raises:
        PayloadError: one of them is missing.
    """
    given = msgspec.json.decode(payload, type=dict[str, Any])
    for name in names or ():
        if name not in given:
            raise PayloadError(
                f"{owner}: argument {name!r} makes a key, so it must be given{did_you_mean(name, given)}",
                argument=name,
            )
    return given if names is None else {name: given[name] for name in names}


def keeps_out(rule: UniqueKey, status: Status, created_at: Instant, now: Instant) -> bool:
    """Whether the job that holds a key, in `status` and dispatched at `created_at`, keeps a dispatch out."""
    return status in rule.states and (rule.window is None or now - created_at < rule.window)


def replaced(old_id: str, created_at: Instant, new: Envelope) -> Envelope:
    """What a job that stays under its id and age becomes when a dispatch replaces it."""
    due, rule = new.scheduled_at, new.unique
    if due is not None and rule is not None and rule.max_wait is not None:
        due = min(due, Instant(created_at + rule.max_wait))
    return msgspec.structs.replace(new, id=old_id, created_at=created_at, scheduled_at=due)


def checked_unique(value: object, owner: str) -> Unique:
    """A unique option in its stored form: a key as text, True for all arguments, or a `Unique`.

    Raises:
        ConfigError: it is none of these, or its parts don't fit together.
    """
    unique = _converted(value, owner)
    if unique.key is not None and not (0 < len(unique.key) <= KEY_CHARS and is_storable(unique.key)):
        raise ConfigError(f"{owner}: a key has 1 to {KEY_CHARS} characters, got {unique.key!r:.80}")
    if unique.key is not None and unique.by is not None:
        raise ConfigError(f"{owner}: key and by exclude each other")
    if unique.by == () or unique.states == ():
        raise ConfigError(f"{owner}: by and states must not be empty; leave them out instead")
    if unique.mode == "debounce":
        if unique.delay is None:
            raise ConfigError(f"{owner}: mode='debounce' needs delay, the quiet time before the job runs")
    elif unique.delay is not None or unique.max_wait is not None:
        raise ConfigError(f"{owner}: delay and max_wait belong to mode='debounce'")
    return unique


def _converted(value: object, owner: str) -> Unique:
    if isinstance(value, str):
        return Unique(key=value)
    if value is True:
        return Unique()
    plain = msgspec.structs.asdict(value) if isinstance(value, Unique) else value
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{owner} must be a key, True or Unique(...), got {value!r:.80}")
    fields = {
        name: field.total_seconds() if hasattr(field, "total_seconds") else field
        for name, field in cast("Mapping[str, Any]", plain).items()
    }
    try:
        return msgspec.convert(fields, Unique)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{owner} is wrong: {error}") from error
