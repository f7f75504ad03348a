"""The stored events of all processes, followed in batches; it outlives an outage of the store."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.events import StoredEvent
from aiojobs_engine.core.status import UserId
from aiojobs_engine.ports.clock import Clock

logger = logging.getLogger(__name__)

BATCH = 1000

_WAIT = 30.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class Readable(Protocol):
    """The part of `EventStream` that followers use."""

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """As `EventStream.read`."""
        ...

    async def wait_events(self, after: str, timeout: float) -> None:
        """As `EventStream.wait_events`."""
        ...


class Tail:
    """A place in the stream that moves on with every batch read.

    Attributes:
        cursor: where the next batch begins.
        is_caught_up: the last batch was the last one there was.
    """

    def __init__(self, stream: Readable, clock: Clock, cursor: str) -> None:
        """Begin after `cursor`."""
        self._stream = stream
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self.cursor = cursor
        self.is_caught_up = False

    async def batch(self) -> Sequence[StoredEvent]:
        """The next events, none when there are no more yet; pauses and answers none while the store is away.

        Raises:
            ConfigError: the cursor is not one of this store.
            BackendClosed: the store was closed.
        """
        try:
            events, self.cursor = await self._stream.read(self.cursor, BATCH)
        except BackendUnavailable as error:
            await self._rest(error)
            return ()
        self._pause = _FIRST_PAUSE
        self.is_caught_up = len(events) < BATCH // 2
        return events

    async def wait(self, timeout: float = _WAIT) -> bool:
        """Return when there may be more, or after `timeout` seconds: False then."""
        began_at = self._clock.monotonic()
        try:
            await self._stream.wait_events(self.cursor, timeout)
        except BackendUnavailable as error:
            await self._rest(error)
        return self._clock.monotonic() - began_at < timeout

    async def _rest(self, error: BackendUnavailable) -> None:
        self.is_caught_up = False
        if self._pause == _FIRST_PAUSE:  # once per outage
            logger.warning("events can't be read, they follow when the store answers again: %s", error)
        await self._clock.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


async def follow(tail: Tail, matches: Callable[[StoredEvent], bool]) -> AsyncIterator[StoredEvent]:
    """The events after the tail's cursor that match, as they come, without end."""
    while True:
        for event in await tail.batch():
            if matches(event):
                yield event
        if tail.is_caught_up:
            await tail.wait()


def matcher(
    *, user_id: UserId | None, type: str | None, job_id: str | None, kind: str | None
) -> Callable[[StoredEvent], bool]:
    """Whether an event fits all that is not None; user ids are compared as text."""
    wanted: dict[str, Any] = {
        name: value
        for name, value in (("type", type), ("job_id", job_id), ("kind", kind))
        if value is not None
    }
    user = None if user_id is None else str(user_id)

    def matches(event: StoredEvent) -> bool:
        return all(getattr(event, name) == value for name, value in wanted.items()) and (
            user is None or str(event.user_id) == user
        )

    return matches
