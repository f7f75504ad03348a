"""The memory store: following its events."""

from collections.abc import Callable, Sequence

from aiojobs_engine.backends.memory.ledger import Part
from aiojobs_engine.core.events import JobEvent, Pick, StoredEvent
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.stream import Place


class MemoryStream(Part):
    """`EventStream` of the memory store."""

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """At most `limit` events after the cursor, and where to go on."""
        return self._opened().log.read(after, limit)

    async def tail(self) -> str:
        """The cursor of the newest event."""
        return str(self._opened().log.last)

    async def since(self, at: Instant) -> str:
        """A cursor before every kept event of `at` or later; it looks at the events one by one."""
        return str(self._opened().log.since(at))

    async def wait_events(self, after: str, timeout: float) -> None:
        """Return when events after the cursor are there, or after `timeout` seconds."""
        await self._opened().log.wait(after, timeout)

    async def hold_place(self, name: str, holder: str, lease: float, cursor: str | None = None) -> Place:
        """Take or keep a named place, and move it."""
        return self._opened().hold_place(name, holder, lease, cursor)

    def tap(
        self,
        sink: Callable[[Sequence[JobEvent]], None] | None,
        pick: Pick | None = None,
        classes: tuple[type[JobEvent], ...] = (JobEvent,),  # noqa: ARG002 - the events are at hand
    ) -> None:
        """Call `sink` on the loop with the events of each write that `pick` picks."""
        self._ledger.log.sink, self._ledger.log.pick = sink, pick
