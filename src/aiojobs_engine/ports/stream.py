"""The port's side for following what happens; the laws of `ports/backend.py` hold here too."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from aiojobs_engine.core.events import JobEvent, Pick, StoredEvent
from aiojobs_engine.core.instant import Instant


class Place(msgspec.Struct, frozen=True):
    """A named place in the stream, where a durable listener goes on.

    Attributes:
        held: whether the one who asked may follow from there now.
        cursor: where it is, None as long as nobody has moved it.
    """

    held: bool
    cursor: str | None


class EventStream(Protocol):
    """The stored events of all processes, in the order of the store, within bounds."""

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """About `limit` events after the cursor, and where to go on; None reads from the oldest one kept.

        A cursor that has fallen out of the bounds goes on with the oldest one kept.

        Raises:
            ConfigError: the cursor is not one of this store: no cursor at all, or after its newest event.
        """
        ...

    async def tail(self) -> str:
        """The cursor of the newest event."""
        ...

    async def since(self, at: Instant) -> str:
        """A cursor before every kept event of `at` or later; cheap, not exact."""
        ...

    async def wait_events(self, after: str, timeout: float) -> None:
        """Return when events after the cursor may be there, or after `timeout` seconds; a hint."""
        ...

    async def hold_place(self, name: str, holder: str, lease: float, cursor: str | None = None) -> Place:
        """Take or keep the place `name` for `lease` seconds by the store's time, and move it to `cursor`.

        While somebody else's lease lasts nothing changes. None leaves the place where it is; a lease of 0
        lets go of it. Leases of another boot of the machine have run out.
        """
        ...

    def tap(
        self,
        sink: Callable[[Sequence[JobEvent]], None] | None,
        pick: Pick | None = None,
        classes: tuple[type[JobEvent], ...] = (JobEvent,),
    ) -> None:
        """Call `sink` on the loop with the events that this process stored, in order, after each write.

        With `pick` only with those whose positions it answers, rising; it sees every write, before the events
        have their ids, so it must be quick. A write that stores none of `classes` may be kept from both. None
        as the sink ends it.
        """
        ...
