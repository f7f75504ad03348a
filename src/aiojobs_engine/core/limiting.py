"""Limits as users write them, and the keys of jobs."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, TypeVar, cast

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.core.rates import RateLimit, checked_rate
from aiojobs_engine.core.unique import arguments

_LONGEST_KEY = 120
_DIGEST_BYTES = 16
_T = TypeVar("_T")

By = str | tuple[str, ...] | None


class Concurrency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many jobs of a type run at once, in all workers together.

    Attributes:
        limit: at least 0; 0 lets none start.
        by: the arguments that make a key, one name or several; each key has `limit` slots of its own.
    """

    limit: Annotated[int, msgspec.Meta(ge=0)]
    by: By = None


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many jobs of a type start in a time, in all workers together.

    Attributes:
        rate: like "100/minute", "5/s" or "10/30s".
        by: the arguments that make a key, one name or several; each key has the rate for itself.
        burst: how many may start at once after a rest; the number of `rate` without one.
        sliding: no stretch of that time holds more than the number of `rate`. Without it a burst and the rate
            may fall together.
    """

    rate: str
    by: By = None
    burst: Annotated[int, msgspec.Meta(ge=1)] | None = None
    sliding: bool = False

    def limit(self, owner: str = "rate_limit") -> RateLimit:
        """As stores take it.

        Raises:
            ConfigError: it is no rate.
        """
        rate = checked_rate(self.rate, owner)
        return checked_rate(RateLimit(rate.amount, rate.period, self.burst, self.sliding), owner)


def checked_concurrency(value: object, owner: str) -> Concurrency | None:
    """A number of slots, or `Concurrency`; None is no limit.

    Raises:
        ConfigError: it is neither.
    """
    if value is None:
        return None
    return _converted(Concurrency(value) if type(value) is int else value, Concurrency, owner)


def checked_rate_limit(value: object, owner: str) -> Rate | None:
    """A rate like "100/minute", or `Rate`; None is no limit.

    Raises:
        ConfigError: it is neither.
    """
    if value is None:
        return None
    rate = _converted(Rate(value) if isinstance(value, str) else value, Rate, owner)
    rate.limit(owner)
    return rate


def limit_names(options: Mapping[str, Any], owner: str) -> tuple[str, ...] | None:
    """The arguments that make the key of a type's limits; None when it has none by key.

    Raises:
        ConfigError: `concurrency` and `rate_limit` are by different arguments.
    """
    slots = checked_concurrency(options.get("concurrency"), f"{owner}: concurrency")
    rate = checked_rate_limit(options.get("rate_limit"), f"{owner}: rate_limit")
    found = {_names(limit.by) for limit in (slots, rate) if limit is not None and limit.by}
    if len(found) > 1:
        raise ConfigError(f"{owner}: concurrency and rate_limit must be by the same arguments")
    return next(iter(found), None)


def key_of(payload: bytes, names: Sequence[str], owner: str) -> str:
    """The key that some of the encoded arguments make: readable when it is short.

    Raises:
        PayloadError: an argument is missing.
    """
    values = list(arguments(payload, names, owner).values())
    only = values[0] if len(values) == 1 else None
    text = str(only) if isinstance(only, str | int) and only is not True and only is not False else ""
    if text and len(text) <= _LONGEST_KEY:
        return text
    encoded = msgspec.json.encode(values, order="sorted")
    if len(encoded) <= _LONGEST_KEY:
        return encoded.decode()
    return blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()


def limits_of(queue: str, type: str, concurrency: Concurrency | None, rate: Rate | None) -> list[Limit]:
    """What code or configuration limits: all jobs, and each key. Empty limits say that nothing is limited."""
    of_all = Limit(
        queue=queue,
        type=type,
        concurrency=concurrency.limit if concurrency and not concurrency.by else None,
        rate=rate.limit() if rate and not rate.by else None,
        origin="code",
    )
    if not type:
        return [of_all]
    by_key = Limit(
        queue=queue,
        type=type,
        by_key=True,
        concurrency=concurrency.limit if concurrency and concurrency.by else None,
        rate=rate.limit() if rate and rate.by else None,
        origin="code",
    )
    return [of_all, by_key]


def changed_limits(declared: Iterable[Limit], stored: Iterable[Limit]) -> list[Limit]:
    """Those of `declared` that the store doesn't have so."""
    there = {limit.group: limit for limit in stored if limit.origin == "code"}
    return [
        limit
        for limit in declared
        if there.get(limit.group, msgspec.structs.replace(limit, concurrency=None, rate=None)) != limit
    ]


def _names(by: By) -> tuple[str, ...]:
    return (by,) if isinstance(by, str) else by or ()


def _converted(value: object, kind: type[_T], owner: str) -> _T:
    plain: Any = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{owner} must be a limit or {kind.__name__}(...), got {value!r:.80}")
    try:
        return msgspec.convert(dict(cast("Mapping[str, Any]", plain)), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{owner} is wrong: {error}") from error
