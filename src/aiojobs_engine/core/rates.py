"""Rates: how much may start within a time, by a token bucket or a sliding window, as pure functions."""

import re
from typing import Any

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant

_UNITS = {
    "s": 1_000, "sec": 1_000, "second": 1_000, "m": 60_000, "min": 60_000, "minute": 60_000,
    "h": 3_600_000, "hour": 3_600_000, "d": 86_400_000, "day": 86_400_000,
}  # fmt: skip
_TEXT = re.compile(r"(\d{1,9})\s*/\s*(\d{1,6})?\s*([a-z]+)")
_SLOTS = 128
"""A sliding window remembers starts to 1/128 of its period, rounded so that it never lets too much in."""


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most `amount` per `period`.

    Attributes:
        amount: units, at least 1; a job takes one unless its option `cost` says more.
        period: ms, at least 1.
        burst: of a token bucket, how much may start at once after a rest; `amount` without one.
        is_sliding: no stretch of `period` holds more than `amount`. A bucket lets `burst` and `amount` start
            within its first period, but needs no memory of single starts.
    """

    amount: int
    period: int
    burst: int | None = None
    is_sliding: bool = False

    @property
    def capacity(self) -> int:
        """The most that may start at one moment."""
        return self.amount if self.is_sliding or self.burst is None else self.burst

    def __str__(self) -> str:
        """As `checked_rate` reads it."""
        unit = next(
            (name for name in ("day", "hour", "minute", "second") if _UNITS[name] == self.period), None
        )
        return f"{self.amount}/{unit or f'{self.period / 1000:g}s'}"


class RateState(msgspec.Struct, array_like=True, omit_defaults=True):
    """What was taken from a rate so far.

    Attributes:
        until: of a bucket, the ms at which it is full again.
        starts: of a window, what was taken by slot of time, the oldest first.
    """

    until: float = 0.0
    starts: list[tuple[int, int]] = []


def room(rate: RateLimit, state: RateState, now: Instant) -> int:
    """How much may start now; 0 or less when nothing may."""
    if rate.is_sliding:
        return rate.amount - sum(cost for at, cost in state.starts if _is_inside(rate, at, now))
    missing = max(0.0, _until(rate, state, now) - now) * rate.amount / rate.period
    return int(rate.capacity - missing + 1e-6)


def taken(rate: RateLimit, state: RateState, cost: int, now: Instant) -> RateState:
    """The state after a job of this cost has started now; more than the capacity counts as the capacity."""
    cost = min(cost, rate.capacity)
    if rate.is_sliding:
        slot = max(1, rate.period // _SLOTS)
        at = -(-now // slot) * slot
        kept = [start for start in state.starts if _is_inside(rate, start[0], now)]
        if kept and kept[-1][0] >= at:
            kept[-1] = (kept[-1][0], kept[-1][1] + cost)
        else:
            kept.append((at, cost))
        return RateState(starts=kept)
    until = max(float(now), _until(rate, state, now))
    return RateState(until=until + cost * rate.period / rate.amount)


def opens_at(rate: RateLimit, state: RateState, cost: int, now: Instant) -> Instant:
    """When a job of this cost may start, if nothing else starts before: `now` when it may already."""
    needed = min(cost, rate.capacity)
    if room(rate, state, now) >= needed:
        return now
    if rate.is_sliding:
        inside = [start for start in state.starts if _is_inside(rate, start[0], now)]
        free = rate.amount - sum(cost for _, cost in inside)
        for at, freed in inside:
            free += freed
            if free >= needed:
                return Instant(at + rate.period)
    wait = _until(rate, state, now) - now - (rate.capacity - needed) * rate.period / rate.amount
    return Instant(now + max(1, int(wait + 0.999999)))


def is_idle(rate: RateLimit, state: RateState, now: Instant) -> bool:
    """Whether nothing is taken any more, so that the state may be forgotten."""
    return room(rate, state, now) >= rate.capacity


def checked_rate(value: object, owner: str) -> RateLimit:
    """A rate: "100/minute", "5/s", "10/30s", a `RateLimit`, or one as plain data.

    Raises:
        ConfigError: it is none, or a number is out of range.
    """
    rate = _converted(value, owner)
    if min(rate.amount, rate.period, 1 if rate.burst is None else rate.burst) < 1:
        raise ConfigError(f"{owner}: amount, period and burst of a rate are at least 1, got {value!r:.80}")
    if rate.is_sliding and rate.burst is not None:
        raise ConfigError(f"{owner}: a sliding window has no burst; leave it out")
    return rate


def _converted(value: object, owner: str) -> RateLimit:
    if isinstance(value, RateLimit):
        return value
    if isinstance(value, str):
        found = _TEXT.fullmatch(value.strip().lower())
        unit = None if found is None else _UNITS.get(found[3]) or _UNITS.get(found[3].removesuffix("s"))
        if found is None or unit is None:
            raise ConfigError(f"{owner} must be like '100/minute', '5/s' or '10/30s', got {value!r:.80}")
        return RateLimit(int(found[1]), int(found[2] or 1) * unit)
    try:
        plain: Any = value
        return msgspec.convert(plain, RateLimit)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{owner} is wrong: {error}") from error


def _is_inside(rate: RateLimit, at: int, now: Instant) -> bool:
    """Whether a start counts still; one far ahead of a clock that was set back does not."""
    return now - rate.period < at <= now + rate.period


def _until(rate: RateLimit, state: RateState, now: Instant) -> float:
    """When a bucket is full again. One that is too far from it was written before its clock was set back."""
    longest = rate.capacity * rate.period / rate.amount
    return state.until if state.until <= now + 2 * longest else now
