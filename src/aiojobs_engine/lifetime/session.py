"""An engine while it is open: one store, one event loop, one process."""

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import BackendClosed, ConfigError, EngineError, ForkedEngineError
from aiojobs_engine.dispatching.templates import Templates
from aiojobs_engine.events.bus import EventBus
from aiojobs_engine.events.shared import SharedStream
from aiojobs_engine.ports.backend import Enqueued, Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.metrics import MetricsCollector
from aiojobs_engine.ports.observer import Observer
from aiojobs_engine.ports.storage import Storages
from aiojobs_engine.ports.tracing import FindTracing
from aiojobs_engine.runtime.batcher import Batcher
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.telemetry.detection import find_collector, find_tracing
from aiojobs_engine.telemetry.meter import Meter
from aiojobs_engine.telemetry.receiving import ClaimSpans
from aiojobs_engine.waiting import Follower


class Session:
    """What every call on an open engine works with.

    Attributes:
        writes: joins concurrent dispatches into one `enqueue`.
        stream: the events of all processes, read once for all who follow.
        follower: waits for results.
        templates: what the envelopes of a job type have in common.
        tracing: says who makes spans now.
        meter: takes the figures, None without anybody who wants them.
        enqueue: stores envelopes.
    """

    __slots__ = (
        "bus",
        "clock",
        "enqueue",
        "follower",
        "loop",
        "meter",
        "pid",
        "registry",
        "settings",
        "storage",
        "store",
        "stream",
        "templates",
        "tracing",
        "writes",
    )

    def __init__(
        self,
        store: Store,
        *,
        storage: Storages,
        clock: Clock,
        settings: Settings,
        registry: JobRegistry,
        bus: EventBus,
        metrics: MetricsCollector | None = None,
    ) -> None:
        """Belong to the running loop and this process; `store` is open."""
        self.store = store
        self.stream = SharedStream(store)
        self.storage = storage
        self.clock = clock
        self.settings = settings
        self.registry = registry
        self.bus = bus
        collector = find_collector(settings) if metrics is None else metrics
        self.meter = None if collector is None else Meter(collector, clock)
        self.enqueue = store.enqueue if self.meter is None else partial(self._metered, self.meter)
        self.writes: Batcher[Envelope, Enqueued] = Batcher(self.enqueue)
        self.follower = Follower(store, clock)
        self.templates = Templates(store, clock=clock, settings=settings, registry=registry)
        self.tracing: FindTracing = find_tracing(settings)
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()

    @property
    def observing(self) -> Observing:
        """Who follows the workers of this session."""
        observers: list[Observer] = [] if self.meter is None else [self.meter]
        if self.settings.telemetry.tracing and self.settings.telemetry.trace_claims:
            observers.append(ClaimSpans(self.tracing, self.clock))
        return Observing(
            tracing=self.tracing,
            observers=tuple(observers),
            listeners=lambda: self.bus.loads,
        )

    async def finish(self) -> None:
        """Let listeners and dispatches under way finish; those who wait for results are told."""
        await self.bus.close()
        await self.stream.close()
        await self.follower.close()
        await self.writes.close()

    async def close(self) -> None:
        """Let go of the store."""
        self.store.tap(None)
        await self.store.close()

    async def _metered(self, meter: Meter, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        sent_at = self.clock.monotonic()
        try:
            answers = await self.store.enqueue(envelopes)
        except Exception as error:
            meter.sent(envelopes, self.clock.monotonic() - sent_at, error)
            raise
        meter.sent(envelopes, self.clock.monotonic() - sent_at, None)
        return answers


class Door:
    """Where every call on an engine enters: it gives the session, or says why there is none here."""

    __slots__ = ("session",)

    def __init__(self) -> None:
        """Be shut."""
        self.session: Session | None = None

    def __call__(self) -> Session:
        """The session.

        Raises:
            BackendClosed: the engine is not open.
            ForkedEngineError: it was opened before this process was forked.
            ConfigError: it was opened in another event loop.
        """
        session = self.session
        if session is None:
            raise BackendClosed("the engine is not open: use it inside `async with engine:`")
        try:
            is_here = session.loop is asyncio.get_running_loop()
        except RuntimeError:  # none runs, also in a fork made from a loop
            is_here = False
        if not is_here:
            raise _stranger(session)
        return session


def _stranger(session: Session) -> EngineError:
    """Why the session can't be used here."""
    if session.pid != os.getpid():
        return ForkedEngineError(
            f"the engine was opened in process {session.pid}, this is its fork {os.getpid()}; "
            "make and open an engine of its own here"
        )
    return ConfigError(
        "the engine was opened in another event loop; open one in this loop, or call it in the loop "
        "it belongs to (from a thread: asyncio.run_coroutine_threadsafe)"
    )


OpenSession = Callable[[], Session]
