"""Durable listeners: they read the stream from a named place, at least once, one process at a time."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from anyio import CapacityLimiter, create_task_group

from aiojobs_engine.core.errors import BackendError, Signal
from aiojobs_engine.core.events import JobEvent, JobStatusUpdated, StoredEvent, status_updated
from aiojobs_engine.events.bus import Subscription, call_listener
from aiojobs_engine.events.stream import Tail
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.observer import ListenerLoad
from aiojobs_engine.ports.stream import EventStream

logger = logging.getLogger(__name__)

LEASE = 15.0
TRIES = 5

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_CLOSING = 5.0


class LostPlace(Exception):
    """Another process follows from the place now."""


class Follower:
    """Calls one durable listener with what the stream holds for it, in order.

    Whoever holds the place renews its lease while a call is under way. A call under way when it is to stop
    gets 5 seconds; what it doesn't end by then is told again. A call that raises is repeated, five times in
    all, with pauses from 1 s on, each of them counted; then its event is passed over and logged.

    Attributes:
        name: the place in the stream.
    """

    def __init__(
        self, name: str, subscription: Subscription, stream: EventStream, clock: Clock, *, holder: str
    ) -> None:
        """Follow on behalf of `holder`, which is unique among all processes."""
        self.name = name
        self._failed: Counter[str] = Counter()
        self._subscription = subscription
        self._stream = stream
        self._clock = clock
        self._holder = holder
        self._threads = CapacityLimiter(max(1, subscription.width))
        self._is_derived = JobStatusUpdated in subscription.classes
        self._cursor: str | None = None
        self._is_stopping = False

    @property
    def load(self) -> ListenerLoad:
        """How often the listener raised so far, tries that were repeated included."""
        return ListenerLoad(failed=dict(self._failed))

    async def prepare(self) -> None:
        """See that the place is somewhere: one that is new begins at the end of the stream."""
        place = await self._stream.hold_place(self.name, self._holder, LEASE)
        if place.held and place.cursor is None:
            await self._stream.hold_place(self.name, self._holder, LEASE, await self._stream.tail())

    async def run(self) -> None:
        """Follow until cancelled; while another process does, wait for its lease to run out."""
        while True:
            tail = await self._taken()
            if tail is None:
                await self._clock.sleep(LEASE / 3)
                continue
            with contextlib.suppress(LostPlace):
                await self._follow(tail)

    async def finish(self, *, catches_up: bool) -> None:
        """Let go of the place; after a burst with everything told that is there."""
        self._is_stopping = False
        with contextlib.suppress(LostPlace, BackendError):
            if self._cursor is not None:
                await self._keep(self._cursor)
            tail = await self._taken() if catches_up else None
            while tail is not None and (events := await tail.batch()):
                await self._tell_all(tail, events)
        if self._cursor is not None:
            with contextlib.suppress(BackendError):
                await self._stream.hold_place(self.name, self._holder, 0, self._cursor)

    async def _taken(self) -> Tail | None:
        """The place, when it can be had."""
        place = await self._stream.hold_place(self.name, self._holder, LEASE)
        if not place.held:
            self._cursor = None
            return None
        self._cursor = place.cursor or await self._stream.tail()
        return Tail(self._stream, self._clock, self._cursor)

    async def _follow(self, tail: Tail) -> None:
        while True:
            events = await tail.batch()
            await self._tell_all(tail, events)
            if tail.is_caught_up:
                await tail.wait(LEASE / 3)
                if not events:
                    await self._keep(self._cursor)

    async def _tell_all(self, tail: Tail, events: Sequence[StoredEvent]) -> None:
        """Tell a batch, renewing meanwhile; the place moves with what is told."""
        if not events:
            return
        wanted = [(event, told) for event in events if (told := self._wanted(event)) is not None]
        if wanted:
            await self._tell_while_renewing(wanted)
        await self._keep(tail.cursor)

    async def _tell_while_renewing(self, wanted: Sequence[tuple[StoredEvent, JobEvent]]) -> None:
        name = f"aiojobs:durable:{self.name}"
        telling = asyncio.get_running_loop().create_task(self._tell(wanted), name=name)
        ended = Wake(self._clock)
        telling.add_done_callback(lambda _: ended.set())
        try:
            while not await ended.wait(LEASE / 3):
                await self._keep(self._cursor)
        except asyncio.CancelledError:
            self._is_stopping = True
            await ended.wait(_CLOSING)
            raise
        finally:
            if not telling.done():
                telling.cancel()
                await asyncio.wait([telling])
        telling.result()

    async def _tell(self, wanted: Sequence[tuple[StoredEvent, JobEvent]]) -> None:
        width = self._subscription.width
        for first in range(0, len(wanted), width):
            if self._is_stopping:
                return
            part = wanted[first : first + width]
            if width == 1:
                await self._try(part[0][1])
            else:
                async with create_task_group() as group:
                    for _, told in part:
                        group.start_soon(self._try, told)
            self._cursor = part[-1][0].event_id

    async def _try(self, event: JobEvent) -> None:
        async for is_last in self._tries():
            try:
                await call_listener(self._subscription.call, event, self._threads)
            except (Exception, Signal) as error:
                self._failed[type(error).__qualname__] += 1
                what = (self._subscription.name, type(event).__name__, event.job_id)
                if not is_last:
                    logger.warning("durable listener %s failed on %s of job %s, again soon: %s", *what, error)
                    continue
                logger.exception("durable listener %s gave %s of job %s up", *what)
            return

    async def _tries(self) -> AsyncIterator[bool]:
        pause = _FIRST_PAUSE
        for number in range(1, TRIES + 1):
            yield number == TRIES
            await self._clock.sleep(pause)
            pause = min(pause * 4, _LONGEST_PAUSE)

    async def _keep(self, cursor: str | None) -> None:
        place = await self._stream.hold_place(self.name, self._holder, LEASE, cursor)
        if not place.held:
            self._cursor = None
            logger.warning("another process follows as durable listener %s now", self.name)
            raise LostPlace
        self._cursor = cursor

    def _wanted(self, event: StoredEvent) -> JobEvent | None:
        subscription = self._subscription
        if isinstance(event, subscription.classes) and subscription.matches(event):
            return event
        if self._is_derived and subscription.matches(event):
            return status_updated(event)
        return None
