"""From the store to the listeners of this process, each behind a bounded queue of its own."""

import asyncio
import inspect
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread

from aiojobs_engine.core.errors import ConfigError, Signal
from aiojobs_engine.core.events import JobEvent, JobStatusUpdated, Pick, status_updated
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.observer import ListenerLoad

logger = logging.getLogger(__name__)

QUEUE = 1000
"""How many events wait for one listener; the oldest give way."""

_CLOSING = 5.0
_QUIET = 60.0

Start = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a listener wants: events of these classes that fit all that is not None.

    Attributes:
        call: a plain function is called in a thread, an async one on the loop.
        pick: the positions, rising, of the events of a write that may be wanted; it sees every write and
            must be quick. `matches` still decides about each.
        durable: the place in the stream of a listener that is told at least once, by `durable.Follower`.
        width: to how many events at once such a listener is told.
    """

    call: Callable[[Any], object]
    classes: tuple[type[JobEvent], ...]
    type: str | None = None
    kind: str | None = None
    queue: str | None = None
    pick: Pick | None = None
    durable: str | None = None
    width: int = 1

    def matches(self, event: JobEvent) -> bool:
        """Whether `event`, which is of one of the classes, is wanted."""
        return (
            (self.type is None or event.type == self.type)
            and (self.kind is None or event.kind == self.kind)
            and (self.queue is None or event.queue == self.queue)
        )

    @property
    def name(self) -> str:
        """The listener's name for people."""
        return getattr(self.call, "__qualname__", None) or repr(self.call)


class EventBus:
    """Hands events to listeners. One that raises, hangs or is slow delays nobody but itself."""

    def __init__(self, clock: Clock, start: Start) -> None:
        """Run listeners in tasks made by `start`."""
        self._clock = clock
        self._start = start
        self._mailboxes: list[_Mailbox] = []
        self._by_class: dict[type[JobEvent], list[_Mailbox]] = {}
        self._derived: list[_Mailbox] = []
        self._is_closed = False

    @property
    def is_heard(self) -> bool:
        """Whether there is any listener."""
        return bool(self._mailboxes)

    @property
    def loads(self) -> dict[str, ListenerLoad]:
        """How the listeners keep up, by name; of failures the first of a minute is logged."""
        return {mailbox.name: mailbox.load for mailbox in self._mailboxes}

    def add(self, subscription: Subscription) -> None:
        """Deliver to one more listener, from the next event on."""
        self._mailboxes.append(_Mailbox(subscription, self._start, self._clock))
        self._by_class.clear()
        self._derived = [mailbox for mailbox in self._mailboxes if JobStatusUpdated in mailbox.classes]

    @property
    def classes(self) -> tuple[type[JobEvent], ...]:
        """Those that the present listeners want."""
        if self._derived:
            return (JobEvent,)
        return tuple({kind for mailbox in self._mailboxes for kind in mailbox.classes})

    @property
    def pick(self) -> Pick | None:
        """Picks the events that any of the present listeners may want; None where that is each."""
        if self._derived:
            return None
        if len(self._mailboxes) == 1:  # most programs have the log alone
            return self._mailboxes[0].pick
        return self._pick

    def _pick(self, events: Sequence[JobEvent]) -> Sequence[int]:
        return sorted({index for mailbox in self._mailboxes for index in mailbox.pick(events)})

    def publish(self, events: Sequence[JobEvent]) -> None:
        """Queue events for those who want them; never waits, never raises."""
        if self._is_closed:
            return
        for event in events:
            for mailbox in self._wanting(type(event)):
                mailbox.put(event)
            if self._derived:
                derived = status_updated(event)
                for mailbox in self._derived:
                    mailbox.put(derived)

    async def close(self) -> None:
        """Give listeners 5 seconds for what is queued, then cancel them; nothing is queued any more."""
        timer = self._clock.call_later(_CLOSING, self._cut_off)
        try:
            while tasks := self._tasks():
                await asyncio.wait(tasks)
        finally:
            timer.cancel()
            self._is_closed = True

    def _cut_off(self) -> None:
        self._is_closed = True
        for task in self._tasks():
            task.cancel()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [mailbox.task for mailbox in self._mailboxes if mailbox.task is not None]

    def _wanting(self, kind: type[JobEvent]) -> list["_Mailbox"]:
        known = self._by_class.get(kind)
        if known is None:
            known = [mailbox for mailbox in self._mailboxes if issubclass(kind, mailbox.classes)]
            self._by_class[kind] = known
        return known


class _Mailbox:
    """The queue of one listener; its task lives while there is something in it."""

    def __init__(self, subscription: Subscription, start: Start, clock: Clock) -> None:
        self._subscription = subscription
        self._start = start
        self._clock = clock
        self._told_at = float("-inf")
        self._events: deque[JobEvent] = deque(maxlen=QUEUE)
        self._threads: CapacityLimiter | None = None
        self.classes = subscription.classes
        self.matches = subscription.matches
        self.pick = subscription.pick or self._pick
        self.name = subscription.name
        self.task: asyncio.Task[None] | None = None
        self._dropped = 0
        self._failed: Counter[str] = Counter()

    @property
    def load(self) -> ListenerLoad:
        return ListenerLoad(dropped=self._dropped, waiting=len(self._events), failed=dict(self._failed))

    def _pick(self, events: Sequence[JobEvent]) -> Sequence[int]:
        return [
            index
            for index, event in enumerate(events)
            if isinstance(event, self.classes) and self.matches(event)
        ]

    def put(self, event: JobEvent) -> None:
        if not self.matches(event):
            return
        if len(self._events) == QUEUE:
            self._dropped += 1
            if self._dropped == 1 or self._dropped % (10 * QUEUE) == 0:
                logger.warning(
                    "listener %s is too slow; %d events were dropped for it", self.name, self._dropped
                )
        self._events.append(event)
        if self.task is None:
            self.task = self._start(self._deliver(), f"aiojobs:listener:{self.name}")

    async def _deliver(self) -> None:
        if self._threads is None:
            self._threads = CapacityLimiter(1)
        call, threads = self._subscription.call, self._threads
        try:
            while self._events:
                event = self._events.popleft()
                try:
                    await call_listener(call, event, threads)
                except (Exception, Signal) as error:  # noqa: BLE001 - it harms nobody but itself
                    self._note_failure(event, error)
        finally:
            self.task = None

    def _note_failure(self, event: JobEvent, error: BaseException) -> None:
        """Count it, and log it where a minute has passed since the last line."""
        self._failed[type(error).__qualname__] += 1
        now = self._clock.monotonic()
        if now - self._told_at >= _QUIET:
            self._told_at = now
            what = (self.name, type(event).__name__, event.job_id, self._failed.total())
            message = "listener %s failed on %s of job %s, %d times so far"
            logger.error(message, *what, exc_info=error)


async def call_listener(call: Callable[[Any], object], event: JobEvent, threads: CapacityLimiter) -> None:
    """Call an async listener on the loop, a plain one in a thread of `threads`."""
    if inspect.iscoroutinefunction(call):
        await call(event)
        return
    answer = await to_thread.run_sync(call, event, abandon_on_cancel=True, limiter=threads)
    if inspect.isawaitable(answer):
        await answer


def checked_classes(events: Sequence[type[JobEvent]]) -> tuple[type[JobEvent], ...]:
    """The classes of events that a listener wants; none means all stored ones.

    Raises:
        ConfigError: one is no class of events.
    """
    for kind in events:
        if not (isinstance(kind, type) and issubclass(kind, JobEvent)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"@engine.on takes classes of events, such as JobCompleted, got {kind!r:.80}")
    return tuple(events) or (JobEvent,)
