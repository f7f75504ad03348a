"""A worker: the agents around one bounded group of running jobs, from first claim to last hand-back."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import BackendError, ConfigError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.ports.backend import Store, Watch, WorkerRecord
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.companion import Companion
from aiojobs_engine.ports.cron import CronEntry
from aiojobs_engine.ports.storage import Storages
from aiojobs_engine.runtime.announcing import announce
from aiojobs_engine.runtime.burst import Burst
from aiojobs_engine.runtime.context import Middleware
from aiojobs_engine.runtime.deadlines import Deadlines
from aiojobs_engine.runtime.finalizer import Finalizer
from aiojobs_engine.runtime.flow_control import with_breakers
from aiojobs_engine.runtime.heartbeat import Heartbeat
from aiojobs_engine.runtime.observing import Observing, Sampler
from aiojobs_engine.runtime.outage import Outage
from aiojobs_engine.runtime.port import WorkerPort
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.runtime.runs import Alone, Isolate, Runs
from aiojobs_engine.runtime.scheduler import Scheduler
from aiojobs_engine.runtime.slots import Slots
from aiojobs_engine.runtime.task_group import AgentGroup, join, start
from aiojobs_engine.runtime.upkeep import Promoter, Pruner, Rescuer
from aiojobs_engine.runtime.watchdog import Rescue, Watchdog
from aiojobs_engine.runtime.watcher import Watcher

logger = logging.getLogger(__name__)

_SICK_HEARTBEATS = 3
_LAST_WRITES = 5.0


class Worker:
    """Runs jobs until it is told to stop.

    Attributes:
        id: unique among all workers; it names the host and the process.
    """

    def __init__(  # noqa: PLR0913 - the engine hands everything in; nothing is looked up
        self,
        store: Store,
        registry: JobRegistry,
        settings: Settings,
        clock: Clock,
        *,
        engine: object,
        storage: Storages,
        resources: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        middleware: Sequence[Middleware] = (),
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        burst: bool = False,
        await_retries: bool = True,
        isolate: Isolate | None = None,
        crons: Sequence[CronEntry] | None = None,
        rng: Random | None = None,
        observing: Observing | None = None,
        rescue: Rescue | None = None,
        companions: Sequence[Companion] = (),
    ) -> None:
        """Watch `queues` (by default those of the settings, else those of all registered types).

        Args:
            burst: end when no job is due any more, nor (with `await_retries`) waits for its retry, or is held
                by another worker, which may be dead.
            isolate: runs a job that took two workers with it in a process of its own.
            crons: the cron entries in code; None fires no entries at all.
            observing: who follows the work; nobody without.
            rescue: what to do while a job blocks the loop; None where nobody watches, as on a test's clock.
            companions: what runs beside it.

        Raises:
            ConfigError: nothing is registered, or `concurrency` is below 1.
        """
        if not registry.types:
            raise ConfigError(
                "no job types are registered, so there is nothing to run; decorate one or include one"
            )
        self.id = f"{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(4)}"
        self._store = store
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._resources = resources
        self._observing, self._breakers = with_breakers(observing, store, clock, registry, settings)
        self._companions = tuple(companions)
        self._outage = Outage(clock)
        self._agents = AgentGroup(clock, self._outage)
        self._stopping = Wake(clock)
        self._is_urgent = False
        self._started_at = Instant(0)
        self._slots = Slots(clock, _limit(settings, concurrency), run=self._go, hand_back=self._hand_back)
        self._deadlines = Deadlines(clock, settings.worker.cancel_timeout, self._give_up)
        self._port = self._make_port(engine, storage, middleware)
        self._make_agents(rng or Random(), isolate, queues)
        self._scheduler = None if crons is None else self._make_scheduler(crons)
        self._watchdog = None if rescue is None else self._make_watchdog(rescue)
        self._burst = self._make_burst(await_retries=await_retries) if burst else None

    def _make_port(self, engine: object, storage: Storages, middleware: Sequence[Middleware]) -> WorkerPort:
        return WorkerPort(
            self._store,
            self._clock,
            self._settings,
            engine=engine,
            storage=storage,
            middleware=tuple(middleware),
            slots=self._slots,
            deadlines=self._deadlines,
            tracing=self._observing.tracing,
        )

    def _make_agents(self, rng: Random, isolate: Isolate | None, queues: Sequence[str] | None) -> None:
        store, clock, settings = self._store, self._clock, self._settings.worker
        self._promoter = Promoter(store, clock)
        self._finalizer = Finalizer(
            store, clock, rng, self._port, self._promoter.set, self._outage, self._observing
        )
        self._runs = Runs(
            self._registry,
            self._settings,
            slots=self._slots,
            deadlines=self._deadlines,
            finalizer=self._finalizer,
            port=self._port,
            isolate=isolate,
            worker=self.id,
            observing=self._observing,
        )
        self._watch = Watch(self.id, self._queues(queues), tuple(self._registry.types))
        self._watcher = Watcher(
            store,
            clock,
            rng,
            slots=self._slots,
            watch=self._watch,
            lease=settings.lease,
            start=self._runs.start,
            outage=self._outage,
            observers=self._observing.observers,
        )
        self._heartbeat = Heartbeat(
            store,
            clock,
            slots=self._slots,
            deadlines=self._deadlines,
            lease=settings.lease,
            describe=self._describe,
            outage=self._outage,
        )
        self._rescuer = Rescuer(store, clock, self.id, settings, self._runs.bury)
        self._pruner = Pruner(
            store, clock, self._settings, self._port.remove_files, self._port.storage.expire
        )

    def _make_scheduler(self, crons: Sequence[CronEntry]) -> Scheduler:
        environment = self._settings.worker.environment
        return Scheduler(
            self._store, self._clock, own=crons, environment=environment, observing=self._observing
        )

    def _make_watchdog(self, rescue: Rescue) -> Watchdog:
        return Watchdog(
            self._clock,
            lease=self._settings.worker.lease,
            grace=self._settings.worker.cancel_timeout,
            held=lambda: [*self._slots.runs.values(), *self._slots.ahead.runs, *self._finalizer.waiting],
            on_back=self._renew_first,
            on_lag=self._lagged if self._observing.observers else None,
            rescue=rescue,
        )

    def _renew_first(self) -> None:
        """Renew before any timer that came due meanwhile lets somebody take the leases for lost."""
        self._agents.start("renewal", self._renewed)

    async def _renewed(self) -> None:
        await self._heartbeat.beat()

    def _lagged(self, seconds: float) -> None:
        for observer in self._observing.observers:
            observer.lagged(seconds)

    def _make_burst(self, *, await_retries: bool) -> Burst:
        return Burst(
            self._store,
            self._clock,
            slots=self._slots,
            finalizer=self._finalizer,
            watcher=self._watcher,
            watch=self._watch,
            await_retries=await_retries,
        )

    def _queues(self, queues: Sequence[str] | None) -> tuple[str, ...]:
        if isinstance(queues, str):
            raise ConfigError(f"queues is a list of names, got {queues!r:.80}")
        chosen = queues or self._settings.worker.queues
        if chosen:
            return tuple(dict.fromkeys(checked_name(name, "a queue") for name in chosen))
        return tuple(dict.fromkeys(options.queue for options in self._runs.options.values()))

    @property
    def is_healthy(self) -> bool:
        """Whether its agents stay up and the store answered one of the last three renewals."""
        silence = self._clock.monotonic() - self._heartbeat.beaten_at
        return not self._agents.is_sick and silence < self._settings.worker.lease * _SICK_HEARTBEATS

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that it watches."""
        return self._watch.queues

    @property
    def slots(self) -> int:
        """How many jobs it runs at once."""
        return self._slots.limit

    @property
    def settled(self) -> int:
        """How many runs it has brought to an end that the store took."""
        return self._finalizer.settled

    @property
    def has_leftovers(self) -> bool:
        """Whether handlers that ignored every cancel, or threads, still run after `run` returned."""
        return bool(self._slots.stuck or self._slots.runs)

    async def run(self) -> None:
        """Work until `stop` (in a burst: until nothing is left), then drain and hand back what is left.

        Cancelling it stops at once: running jobs go back to the queue with no attempt counted.
        """
        self._started_at = self._clock.now()
        async with self._entered_resources():
            await announce(
                self._store, self._registry, self._runs.options, self._settings, self._watch.queues
            )
            if self._scheduler is not None:
                await self._scheduler.announce()
            for companion in self._companions:
                await companion.prepare()
            await self._heartbeat.beat()
            self._start_agents()
            if self._watchdog is not None:
                self._watchdog.start()
            try:
                await (self._stopping.wait() if self._burst is None else self._until_done(self._burst))
            except asyncio.CancelledError:
                self._is_urgent = True
                raise
            finally:
                closing = start(self._shut_down(), "aiojobs:shutdown")
                await join(closing)

    @contextlib.asynccontextmanager
    async def alone(self, alive: Callable[[], None]) -> AsyncGenerator[Alone]:
        """Instead of `run`, with the resources entered: run jobs that another worker holds and finalizes.

        Gives a function that runs one of them; it answers None when the lease is lost. `alive` is called when
        a handler starts and at each checkpoint.
        """
        self._port.on_touch = alive
        async with self._entered_resources():
            yield self._runs.alone

    def stop(self) -> None:
        """Claim no more; running jobs get `drain_timeout` seconds. May be repeated."""
        self._watcher.quit()
        self._stopping.set()

    def stop_now(self) -> None:
        """Cancel what still runs; it goes back to the queue with no attempt counted."""
        self._is_urgent = True
        self.stop()
        self._runs.end_all()

    def _start_agents(self) -> None:
        self._agents.start("finalizer", self._finalizer.run)
        self._agents.start("heartbeat", self._heartbeat.run)
        self._agents.start("guard", self._heartbeat.guard)
        self._agents.start("promoter", self._promoter.run)
        self._agents.start("rescuer", self._rescuer.run)
        self._agents.start("pruner", self._pruner.run)
        self._agents.start("watcher", self._watcher.run)
        self._agents.start("beginner", self._watcher.note_begun)
        if self._breakers is not None:
            self._agents.start("breakers", self._breakers.run)
        if self._scheduler is not None:
            self._agents.start("scheduler", self._scheduler.run)
        for companion in self._companions:
            self._agents.start(companion.name, companion.run)
        if self._observing.observers:
            sampler = Sampler(self._store, self._clock, self._slots, self._observing)
            self._agents.start("sampler", sampler.run)

    @contextlib.asynccontextmanager
    async def _entered_resources(self) -> AsyncGenerator[None]:
        if self._resources is None:
            yield
            return
        async with self._resources() as resources:
            self._port.resources = resources
            yield

    async def _until_done(self, burst: Burst) -> None:
        done = start(burst.run(), "aiojobs:burst")
        stopped = start(self._until_stopped(), "aiojobs:stop")
        try:
            await asyncio.wait([done, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (done, stopped):
                task.cancel()
                await join(task)
        if not done.cancelled():
            done.result()

    async def _until_stopped(self) -> None:
        await self._stopping.wait()

    async def _shut_down(self) -> None:
        self._watcher.quit()
        self._runs.tell_stopping()
        await self._watcher.wait_quiet()
        await self._agents.stop("scheduler")
        await self._agents.stop("watcher")
        if not self._is_urgent:
            await self._slots.wait_empty(self._settings.worker.drain_timeout)
        self._runs.end_all()
        await self._slots.wait_empty(3 * self._settings.worker.cancel_timeout)
        await self._write_the_last()
        if self._watchdog is not None:
            self._watchdog.stop()
        await self._agents.stop_all()
        for companion in self._companions:
            await companion.finish(catches_up=self._burst is not None and not self._is_urgent)
        self._deadlines.close()
        with contextlib.suppress(BackendError):
            await self._store.leave(self.id)

    async def _write_the_last(self) -> None:
        drained = start(self._finalizer.drain(), "aiojobs:last-writes")
        patience = Wake(self._clock)
        drained.add_done_callback(lambda _: patience.set())
        if not await patience.wait(_LAST_WRITES):
            logger.error("the store took no more outcomes; those jobs run again when their leases end")
            drained.cancel()
        await join(drained)

    def _go(self, run: Run) -> Coroutine[Any, Any, None]:
        return self._runs.go(run)

    def _hand_back(self, run: Run) -> None:
        self._runs.hand_back(run)

    def _give_up(self, run: Run) -> None:
        self._runs.give_up(run)

    def _describe(self) -> WorkerRecord:
        return WorkerRecord(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self._watch.queues,
            slots=self._slots.limit,
            running=len(self._slots.runs),
            started_at=self._started_at,
            beat_at=self._clock.now(),
        )


def _limit(settings: Settings, concurrency: int | None) -> int:
    limit = settings.worker.concurrency if concurrency is None else concurrency
    if not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"concurrency must be a whole number of at least 1, got {limit!r:.80}")
    return limit
