"""The store in several homes: one stream out of many.

Events are ordered by the millisecond of their entry, then by home, then by entry. So an event's id is a place
in all streams at once, which needs no word about each of them. A reader may pass an event when nothing can be
stored before it any more: when the clock of every other home is beyond it, or its stream is fenced there.
Clocks of servers that differ cost fences, not events.
"""

import re
from collections.abc import Callable, Sequence

from aiojobs_engine.backends.redis.spread.routes import Routes, together
from aiojobs_engine.backends.redis.stream import SKEW_MS, Entries
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent, Pick, StoredEvent
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.stream import Place

Spot = tuple[int, int, int, int]
"""Millisecond, home, number of the entry within both, place of the event in it."""

_START: Spot = (0, 0, 0, 0)
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,9})(?:-([0-9]{1,3}))?", re.ASCII)
_SLICE = 64


class SpreadStream(Routes):
    """`EventStream` in several homes; what each verb means stands in the port."""

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """At most `limit` events after the cursor, and where to go on."""
        place = _START if after is None else parsed(after)
        limit = max(1, limit)
        wanted = max(_SLICE, 2 * limit // len(self._stores)) + place[3] + 1
        while True:
            parts = await together(
                store.entries(_entry(place, home), wanted) for home, store in enumerate(self._stores)
            )
            if after is not None:
                _check_not_after(place, parts, after)
            found = _ordered(place if after is not None else None, parts)
            clocks = [_clock(part) for part in parts]
            shown: list[StoredEvent] = []
            for spot, event in found[:limit]:
                if _open_before(spot, clocks):
                    break
                shown.append(event)
            if shown or not found:
                return shown, shown[-1].event_id if shown else after or cursor_of(_START)
            await self._fence(found[0][0], clocks)

    async def tail(self) -> str:
        """The cursor of the newest event."""
        parts = await self._all(lambda store: store.entries("+", 1))
        newest = _newest(parts)
        await self._fence(newest, [part.now for part in parts])
        return cursor_of(newest)

    async def since(self, at: Instant) -> str:
        """A cursor before every kept event of `at` or later; clocks may differ by some seconds."""
        return min(cursor_of((max(0, at - SKEW_MS), 0, 0, 0)), await self.tail(), key=parsed)

    async def wait_events(self, after: str, timeout: float) -> None:
        """Return when events after the cursor are there, or after `timeout` seconds."""
        place = parsed(after)
        deadline = self._clock.monotonic() + timeout
        async with self._bell.listening([store.key_of("told") for store in self._stores]) as wake:
            while self.client.is_open:
                if _newest(await self._all(lambda store: store.entries("+", 1))) > place:
                    return
                left = deadline - self._clock.monotonic()
                if left <= 0 or not await wake.wait(left):
                    return

    async def hold_place(self, name: str, holder: str, lease: float, cursor: str | None = None) -> Place:
        """Take or keep a named place, and move it."""
        return await self._first.hold_place(name, holder, lease, cursor)

    def tap(
        self,
        sink: Callable[[Sequence[JobEvent]], None] | None,
        pick: Pick | None = None,
        classes: tuple[type[JobEvent], ...] = (JobEvent,),
    ) -> None:
        """Call `sink` on the loop with the events of each write in a home that `pick` picks."""
        for store in self._stores:
            store.tap(sink, pick, classes)

    async def _fence(self, spot: Spot, clocks: Sequence[int]) -> None:
        """Let nothing be stored before a place any more."""
        ms, home, _, _ = spot
        await together(
            self._stores[other].fence(ms if other < home else ms - 1) for other in _open_before(spot, clocks)
        )


def parsed(cursor: str) -> Spot:
    """The place that a cursor names.

    Raises:
        ConfigError: it names none.
    """
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ConfigError(f"{cursor!r:.80} is no event cursor of this store; take the cursor of an event")
    return int(found[1]), int(found[4] or 0), int(found[2]), int(found[3])


def cursor_of(place: Spot) -> str:
    """The cursor that names a place; it is the id of the event there."""
    ms, home, number, index = place
    return f"{ms}-{number}-{index}" + (f"-{home}" if home else "")


def _open_before(spot: Spot, clocks: Sequence[int]) -> list[int]:
    """The homes in which something may still be stored before a place."""
    ms, home, _, _ = spot
    return [
        other
        for other, clock in enumerate(clocks)
        if (other < home and clock <= ms) or (other > home and clock < ms)
    ]


def _entry(place: Spot, home: int) -> str:
    """The entry of a home with which what comes after a place begins."""
    if home == place[1]:
        return f"{place[0]}-{place[2]}"
    return f"{place[0] + (home < place[1])}-0"


def _clock(part: Entries) -> int:
    """The earliest millisecond of what a slice doesn't show."""
    if part.entries:
        ms, _, number = part.entries[-1][0].partition("-")
        if (int(ms), int(number)) < part.newest[:2]:
            return int(ms)
    return part.now


def _ordered(after: Spot | None, parts: Sequence[Entries]) -> list[tuple[Spot, StoredEvent]]:
    found: list[tuple[Spot, StoredEvent]] = []
    for home, part in enumerate(parts):
        for name, events in part.entries:
            ms, _, number = name.partition("-")
            found += [((int(ms), home, int(number), index), event) for index, event in enumerate(events)]
    return sorted((each for each in found if after is None or each[0] > after), key=lambda each: each[0])


def _newest(parts: Sequence[Entries]) -> Spot:
    return max(
        (part.newest[0], home, *part.newest[1:]) if part.newest[0] else _START
        for home, part in enumerate(parts)
    )


def _check_not_after(place: Spot, parts: Sequence[Entries], cursor: str) -> None:
    """See that the cursor's event can be there.

    Raises:
        ConfigError: it is after the newest one.
    """
    last = _newest(parts)
    if place[0] and place > last:
        raise ConfigError(
            f"{cursor!r:.80} is no event cursor of this store, whose newest is {cursor_of(last)!r}"
        )
