"""`engine.limits`: looking at limits, and changing them while workers run."""

from datetime import datetime

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.gates import Group, Limit, Origin
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.limiting import Rate, checked_concurrency, checked_rate_limit
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.listing import Listing, whole
from aiojobs_engine.ports.flow import LimitRecord


class LimitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A limit at one read.

    Attributes:
        type: None for the whole queue.
        by_key: it holds for each key of the type by itself.
        concurrency: how many run at once; None is no bound.
        rate: how many start in a time, like `100/minute`; None is no bound.
        burst, sliding: as in `Rate`.
        origin: `code`, `desk` or `breaker`.
        in_force: False for one of the code that the desk has overruled.
        running: the jobs under it that run; by key those of all keys.
        room: how many its rate lets start now; None without a rate, and by key.
        closed_until: nothing starts before this instant.
    """

    queue: str
    type: str | None
    by_key: bool
    concurrency: int | None
    rate: str | None
    burst: int | None
    sliding: bool
    origin: Origin
    in_force: bool
    running: int
    room: int | None
    closed_until: datetime | None


class LimitsDesk:
    """Limits by queue and type. What is set here wins over the code until it is reset."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[LimitStatus]:
        """All limits, by queue and type."""

        async def read() -> list[LimitStatus]:
            return [_status(record) for record in await self._open().store.limits()]

        return whole(read, _place, limit, cursor)

    async def set(
        self,
        queue: str,
        *,
        type: str | None = None,
        by_key: bool = False,
        concurrency: int | None = None,
        rate_limit: str | Rate | None = None,
    ) -> None:
        """Limit a queue, a type in it, or each key of that type, from the next claim on; running jobs go on.

        It takes the place of what was set here before and of all that the code says of the same group.

        Raises:
            ConfigError: a name or number can't be used, there is neither limit, or `by_key` without a type.
        """
        slots = checked_concurrency(concurrency, "concurrency")
        rate = checked_rate_limit(rate_limit, "rate_limit")
        if slots is None and rate is None:
            raise ConfigError("a limit needs concurrency or rate_limit; limits.reset takes one back")
        if (slots is not None and slots.by) or (rate is not None and rate.by):
            raise ConfigError("the arguments that make keys are set in code; here it is by_key=True")
        group = _group(queue, type, by_key=by_key)
        limit = Limit(
            queue=group.queue,
            type=group.type,
            by_key=group.by_key,
            concurrency=None if slots is None else slots.limit,
            rate=None if rate is None else rate.limit(),
        )
        await self._open().store.set_limits([limit])

    async def reset(self, queue: str, *, type: str | None = None, by_key: bool = False) -> None:
        """Take back what was set here; what the code says holds again. May be repeated."""
        group = _group(queue, type, by_key=by_key)
        none = Limit(queue=group.queue, type=group.type, by_key=group.by_key)
        await self._open().store.set_limits([none])


def _group(queue: str, type: str | None, *, by_key: bool) -> Group:
    if by_key and type is None:
        raise ConfigError("keys belong to a type, so by_key needs type=")
    name = "" if type is None else checked_name(type, "the name of a job type")
    return Group(checked_name(queue, "a queue"), name, by_key)


def _status(record: LimitRecord) -> LimitStatus:
    limit = record.limit
    return LimitStatus(
        queue=limit.queue,
        type=limit.type or None,
        by_key=limit.by_key,
        concurrency=limit.concurrency,
        rate=None if limit.rate is None else str(limit.rate),
        burst=None if limit.rate is None else limit.rate.burst,
        sliding=limit.rate is not None and limit.rate.is_sliding,
        origin=limit.origin,
        in_force=record.in_force,
        running=record.running,
        room=record.room,
        closed_until=None if limit.closed_until is None else moment(limit.closed_until),
    )


def _place(status: LimitStatus) -> str:
    return f"{status.queue}/{status.type or ''}/{int(status.by_key)}/{status.origin}"
