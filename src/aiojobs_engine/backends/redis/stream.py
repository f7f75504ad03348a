"""The Redis store: following the events of all processes."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent, Pick, StoredEvent, decode_events
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.stream import Place

Spot = tuple[int, int, int]

_START: Spot = (0, 0, 0)
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,9})", re.ASCII)
SKEW_MS = 10_000


class Entries(NamedTuple):
    """A slice of the stream of one home.

    Attributes:
        now: the earliest millisecond that an entry stored from now on may have.
        newest: the newest event.
        entries: their names and events.
    """

    now: int
    newest: Spot
    entries: list[tuple[str, list[StoredEvent]]]


class RedisStream(Part):
    """`EventStream` of the Redis store. A cursor is `entry-place`: events are stored many to an entry."""

    _clock: Clock

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """At most `limit` events after the cursor, and where to go on."""
        place = _START if after is None else parsed(after)
        limit = max(1, limit)
        found = await self.entries(_entry(place), limit + place[2] + 1)
        if after is not None:
            _check_not_after(place, found.newest, after)
        events: list[StoredEvent] = []
        for name, held in found.entries:
            events += held[place[2] + 1 :] if after is not None and name == _entry(place) else held
        shown = events[:limit]
        return shown, shown[-1].event_id if shown else after or cursor_of(_START)

    async def tail(self) -> str:
        """The cursor of the newest event."""
        return cursor_of((await self.entries("+", 1)).newest)

    async def entries(self, first: str, wanted: int) -> Entries:
        """What is stored from the entry `first` on, until there are `wanted` events."""
        now, last, newest, count, *rows = await self._home.run("read_events", (first, wanted))
        at, _, number = newest.decode().partition("-")
        ending = self._home.ending
        found: list[tuple[str, list[StoredEvent]]] = []
        for entry, held, body in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            name = entry.decode()
            found.append((name, decode_events(body, [f"{name}-{index}{ending}" for index in range(held)])))
        ms = max(int(now), int(last.partition(b"-")[0]))
        return Entries(ms, (int(at), int(number), max(0, count - 1)), found)

    async def fence(self, ms: int) -> None:
        """Let no more events be stored at the millisecond `ms` or before it."""
        await self._home.run("fence", ms)

    async def since(self, at: Instant) -> str:
        """A cursor before every kept event of `at` or later; clocks may differ by some seconds."""
        before = (max(0, at - SKEW_MS), 0, 0)
        tail = await self.tail()
        return min(cursor_of(before), tail, key=parsed)

    async def wait_events(self, after: str, timeout: float) -> None:
        """Return when events after the cursor are there, or after `timeout` seconds."""
        home, place = self._home, parsed(after)
        deadline = self._clock.monotonic() + timeout
        async with home.bell.listening([f"{home.prefix}told"]) as wake:
            while home.client.is_open and parsed(await self.tail()) <= place:
                left = deadline - self._clock.monotonic()
                if left <= 0 or not await wake.wait(left):
                    return

    async def hold_place(self, name: str, holder: str, lease: float, cursor: str | None = None) -> Place:
        """Take or keep a named place, and move it."""
        request = (name, holder, max(0, round(lease * 1000)), cursor)
        held, stored = await self._home.run("hold_place", request)
        return Place(bool(held), None if stored is None else stored.decode())

    def tap(
        self,
        sink: Callable[[Sequence[JobEvent]], None] | None,
        pick: Pick | None = None,
        classes: tuple[type[JobEvent], ...] = (JobEvent,),
    ) -> None:
        """Call `sink` on the loop with the events of each write that `pick` picks."""
        self._home.sink, self._home.pick = sink, pick
        self._home.classes = classes


def parsed(cursor: str) -> Spot:
    """The place that a cursor names.

    Raises:
        ConfigError: it names none.
    """
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ConfigError(f"{cursor!r:.80} is no event cursor of this store; take the cursor of an event")
    return int(found[1]), int(found[2]), int(found[3])


def cursor_of(place: Spot) -> str:
    """The cursor that names a place."""
    return "-".join(map(str, place))


def _entry(place: Spot) -> str:
    return f"{place[0]}-{place[1]}"


def _check_not_after(place: Spot, last: Spot, cursor: str) -> None:
    """See that the cursor's event can be there.

    Raises:
        ConfigError: it is after the newest one.
    """
    if place[0] and place > last:
        raise ConfigError(
            f"{cursor!r:.80} is no event cursor of this store, whose newest is {cursor_of(last)!r}"
        )
