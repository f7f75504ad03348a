"""Instants: whole milliseconds since 1970-01-01 UTC, the only form of time inside the package."""

from datetime import UTC, datetime, timedelta
from typing import NewType

Instant = NewType("Instant", int)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def instant(moment: datetime) -> Instant:
    """Milliseconds since the epoch, rounded down.

    Raises:
        ValueError: `moment` has no time zone, so it names no instant.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a datetime without a time zone names no instant: {moment!r}; add tzinfo=UTC")
    return Instant((moment - _EPOCH) // _MILLISECOND)


def moment(instant: Instant | int) -> datetime:
    """The aware UTC datetime of an instant; the first or last there is for one that no datetime can show."""
    try:
        return _EPOCH + timedelta(milliseconds=instant)
    except OverflowError:
        return _FIRST if instant < 0 else _LAST


def later(start: Instant, seconds: float) -> Instant:
    """`start` moved by `seconds`, which may be negative; clamped to 0 .. 2**53 - 1 ms."""
    return Instant(int(max(0, min(start + seconds * 1000, 2**53 - 1))))
