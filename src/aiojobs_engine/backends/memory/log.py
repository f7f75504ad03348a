"""The event log of a memory store: numbered, bounded, in the order of the writes."""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent, Pick, StoredEvent
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.clock import Clock, Wake

_DIGITS = 18

Sink = Callable[[Sequence[JobEvent]], None]


class EventLog:
    """The last `limit` events under the numbers 1, 2, 3 …; an event's id is its number as text."""

    def __init__(self, clock: Clock, limit: int) -> None:
        """Start empty."""
        self.sink: Sink | None = None
        self.pick: Pick | None = None
        self.last = 0
        self._clock = clock
        self._limit = max(1, limit)
        self._events: dict[int, StoredEvent] = {}
        self._fresh: list[JobEvent] = []
        self._waiters: set[Wake] = set()

    def append(self, event: JobEvent) -> None:
        """Number an event and keep it; the oldest one goes when there are too many."""
        self.last += 1
        stored = msgspec.structs.replace(event, event_id=str(self.last))
        self._events[self.last] = cast("StoredEvent", stored)
        self._events.pop(self.last - self._limit, None)
        self._fresh.append(stored)

    def publish(self) -> None:
        """Tell the sink and those that wait about what was appended since the last call."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        self.ring()
        if self.sink is None:
            return
        picked = fresh if self.pick is None else [fresh[index] for index in self.pick(fresh)]
        if picked:
            self.sink(picked)

    def ring(self) -> None:
        """Wake all that wait."""
        for bell in self._waiters:
            bell.set()

    def read(self, after: str | None, limit: int) -> tuple[list[StoredEvent], str]:
        """The events behind the cursor, and where to go on.

        Raises:
            ConfigError: the cursor is not one of this log.
        """
        start = max(0 if after is None else self._number(after), self.last - len(self._events))
        stop = min(self.last, start + max(0, limit))
        return [self._events[number] for number in range(start + 1, stop + 1)], str(stop)

    def since(self, at: Instant) -> int:
        """The number before the first kept event of `at` or later."""
        oldest = self.last - len(self._events) + 1
        numbers = range(oldest, self.last + 1)
        return next((number - 1 for number in numbers if self._events[number].at >= at), self.last)

    async def wait(self, after: str, timeout: float) -> None:
        """Return when there is an event behind the cursor, or after `timeout` seconds."""
        if self._number(after) < self.last:
            return
        bell = Wake(self._clock)
        self._waiters.add(bell)
        try:
            await bell.wait(timeout)
        finally:
            self._waiters.discard(bell)

    def _number(self, cursor: str) -> int:
        is_number = cursor.isascii() and cursor.isdecimal() and len(cursor) <= _DIGITS
        number = int(cursor) if is_number else -1
        if not 0 <= number <= self.last:
            raise ConfigError(f"{cursor!r:.80} is no event cursor of this store, whose newest is {self.last}")
        return number
