"""The SQLite store: following the events of all processes."""

import re
from collections.abc import Callable, Sequence

import msgspec

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.transaction import EVENTS_PER_ROW, Transaction
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent, Pick, StoredEvent, decode_events
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.stream import Place

Spot = tuple[int, int]

_START: Spot = (0, 0)
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,9})", re.ASCII)

_place = msgspec.json.Decoder(Spot).decode
_counted = msgspec.json.Decoder(list[tuple[int, int]]).decode


class SqliteStream(Part):
    """`EventStream` of the SQLite store. A cursor is `row-place`: events are stored many to a row."""

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """At most `limit` events after the cursor, and where to go on."""
        reader = self._reading()
        row, place = _START if after is None else parsed(after)
        counts, body, newest = await reader.one("read_events", row=row, place=place, limit=max(1, limit))
        if after is not None:
            check_not_after((row, place), _place(newest), after)
        ids = [f"{number}-{index}" for number, count in _counted(counts) for index in range(count)]
        if not ids:
            return [], after or cursor_of(_START)
        skipped = place + 1 if _counted(counts)[0][0] == row else 0
        events = decode_events(body, ids)[skipped : skipped + max(1, limit)]
        return events, events[-1].event_id

    async def tail(self) -> str:
        """The cursor of the newest event."""
        return cursor_of(_place(await self._reading().value("newest_event")))

    async def since(self, at: Instant) -> str:
        """A cursor before every kept event of `at` or later."""
        row = await self._reading().value("events_since", at=at)
        return await self.tail() if row is None else cursor_of((row - 1, EVENTS_PER_ROW))

    async def wait_events(self, after: str, timeout: float) -> None:
        """Return when events after the cursor are there, or after `timeout` seconds."""
        self._writing()
        place = parsed(after)
        self._listen("events")
        with self._bells.for_events() as bell:
            await self._until(bell, timeout, lambda tx: _there_at(place, tx.value("newest_event"), after))

    async def hold_place(self, name: str, holder: str, lease: float, cursor: str | None = None) -> Place:
        """Take or keep a named place, and move it."""
        return await self._write(lambda tx: _hold_place(tx, name, holder, lease, cursor))

    def tap(
        self,
        sink: Callable[[Sequence[JobEvent]], None] | None,
        pick: Pick | None = None,
        classes: tuple[type[JobEvent], ...] = (JobEvent,),  # noqa: ARG002 - the events are at hand
    ) -> None:
        """Call `sink` on the loop with the events of each write that `pick` picks."""
        self._sink, self._pick = sink, pick


def _hold_place(tx: Transaction, name: str, holder: str, lease: float, cursor: str | None) -> Place:
    boot, elapsed = tx.boot
    until = tx.lease_until(lease)
    held = tx.run(
        "hold_place", name=name, holder=holder, boot=boot, elapsed=elapsed, until=until, cursor=cursor
    )
    return Place(held > 0, tx.value("place", name=name))


def parsed(cursor: str) -> Spot:
    """The place that a cursor names.

    Raises:
        ConfigError: it names none.
    """
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ConfigError(f"{cursor!r:.80} is no event cursor of this store; take the cursor of an event")
    return int(found[1]), int(found[2])


def cursor_of(place: Spot) -> str:
    """The cursor that names a place."""
    return f"{place[0]}-{place[1]}"


def check_not_after(place: Spot, newest: Spot, cursor: str) -> None:
    """See that the cursor's event can be there.

    Raises:
        ConfigError: it is after the newest one.
    """
    if place[0] and place > newest:
        raise ConfigError(
            f"{cursor!r:.80} is no event cursor of this store, whose newest is {cursor_of(newest)!r}"
        )


def _there_at(place: Spot, newest: str, cursor: str) -> int | None:
    """0, which is over, when there are events behind the place."""
    last: Spot = _place(newest)
    check_not_after(place, last, cursor)
    return 0 if place < last else None
