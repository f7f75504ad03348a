"""An engine in a test: its jobs lie in memory, its time moves by hand, and its worker runs when told to."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.bulk.storage import LocalStorage
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.dispatching.crons import entries_in_code
from aiojobs_engine.dispatching.templates import Templates
from aiojobs_engine.engine import Engine
from aiojobs_engine.ports.backend import Enqueued, Watch
from aiojobs_engine.ports.cron import Fire, Fired, FireOutcome
from aiojobs_engine.runtime.burst import held_back
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.runtime.scheduler import Scheduler
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.runtime.worker import Worker
from aiojobs_engine.telemetry.detection import find_tracing
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.dispatched import Dispatched, matching, of_type, unmatched
from aiojobs_engine.testing.single import prepared, run_alone

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE = 1.0
"""Real seconds that `drain` waits for handlers that nothing moves."""

_BATCH = 1000
_STEP = 1.0
_TURN = 0.01


class TestEngine:
    """`async with TestEngine(engine) as t:` swaps in memory and a virtual clock, and puts all back.

    Nothing runs by itself: `drain` and `advance` run what is due. What the engine's own store holds, and
    whether it was open, stay as they were.

    Attributes:
        engine: the engine itself.
        clock: its time; it stands still but for `advance`.
    """

    __test__ = False

    def __init__(self, engine: Engine, *, start: datetime | None = None, patience: float = PATIENCE) -> None:
        """Stand in for the outside of `engine`.

        Args:
            start: what the wall clock shows first.
            patience: real seconds that `drain` waits for handlers that nothing moves.
        """
        self.engine = engine
        self.clock = ManualClock() if start is None else ManualClock(start)
        self._patience = patience
        self._store = _Recorder(clock=self.clock)
        self._stack = ExitStack()
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._stuck_at: str | None = None
        self._scheduler = Scheduler(self._store, self.clock)

    async def drain(self) -> dict[str, int]:
        """Run everything that is due, what jobs dispatch meanwhile too; how many jobs there are by status.

        Time stands still, so retries and delayed jobs wait for `advance`. A handler that still runs when
        nothing has moved for `patience` real seconds goes on later: its job is counted as `processing`.
        """
        await self._work(self._patience)
        return await self._counts()

    async def advance(self, seconds: float) -> dict[str, int]:
        """Move time by `seconds`, and run what falls due at its very moment; counts as `drain` gives them.

        Cron entries fire too, unless `worker.cron` is off.

        Raises:
            ConfigError: `seconds` is negative.
        """
        if seconds < 0:
            raise ConfigError(f"time goes on, so advance takes at least 0 seconds, got {seconds!r}")
        end = self.clock.monotonic() + seconds
        while True:
            next_fire = await self._fire()
            is_stuck = self._stuck_at == await self._store.tail()
            await self._work(0.0 if is_stuck else self._patience)
            left = end - self.clock.monotonic()
            if left <= 0:
                return await self._counts()
            left = _until(next_fire, self.clock, left)
            if self._task is not None:
                await self._advance_busy(self.clock.monotonic() + left)
            else:
                promoted = await self._store.promote(_BATCH)
                if not promoted.count:
                    left = min(left, await self._until_rates())
                    await self.clock.advance(_until(promoted.next_due, self.clock, left))

    def dispatched(self, what: JobType[..., Any] | str | None = None) -> list[Dispatched]:
        """The jobs that were dispatched in this context, of one type or all, in order; chunks are none."""
        return of_type(self._recorded(), what)

    def assert_dispatched(self, what: JobType[..., Any] | str, /, **arguments: Any) -> list[Dispatched]:
        """The jobs of the type that were dispatched with at least these arguments.

        Raises:
            AssertionError: there are none; the message shows the nearest.
        """
        found = matching(self._recorded(), what, arguments)
        if not found:
            raise AssertionError(unmatched(self._recorded(), what, arguments))
        return found

    def assert_not_dispatched(self, what: JobType[..., Any] | str, /, **arguments: Any) -> None:
        """Nothing, when no job of the type was dispatched with at least these arguments.

        Raises:
            AssertionError: there is one; the message shows it.
        """
        found = matching(self._recorded(), what, arguments)
        if found:
            shown = "\n".join(f"  {each}" for each in found)
            raise AssertionError(f"{len(found)} such jobs were dispatched:\n{shown}")

    async def run(self, job_type: JobType[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """What one attempt of the handler returns, with arguments and result carried as JSON and back.

        It goes through resources and middleware, leaves no trace in the store, and retries nothing. Of an
        importer it runs the whole import.

        Raises:
            PayloadError: arguments or result can't travel.
            BaseException: what the handler raised, itself.
        """
        job = await prepared(self.engine, job_type, args, kwargs)
        return cast("R", await run_alone(self.engine, self.clock, job, job_type))

    def _recorded(self) -> list[Dispatched]:
        types = self.engine.registry.types
        return [Dispatched.of(envelope, types.get(envelope.type)) for envelope in self._store.recorded]

    async def _counts(self) -> dict[str, int]:
        found = Counter[Status]()
        for (_, status), count in (await self._store.counts()).items():
            found[status] += count
        return {str(status): found[status] for status in Status if found[status]}

    async def _until_rates(self) -> float:
        """Seconds until a rate that holds jobs back may let one through; without end where none does."""
        limits = [record.limit for record in await self._store.limits() if record.limit.rate is not None]
        watch = Watch("test", tuple({limit.queue for limit in limits}), tuple(self.engine.registry.types))
        if not limits or not await held_back(self._store, watch):
            return math.inf
        return min(limit.rate.period / limit.rate.amount / 1000 for limit in limits if limit.rate is not None)

    async def _fire(self) -> Instant | None:
        """Fire the cron entries that are due; the instant of the next fire."""
        return await self._scheduler.tick() if self.engine.settings.worker.cron else None

    async def _work(self, patience: float) -> None:
        """Let the worker run until nothing is left, or nothing moves for `patience` real seconds."""
        if not self.engine.registry.types:
            return
        if self._task is None:
            self._worker = self.engine.worker(burst=True, await_retries=False)
            self._task = start(self._worker.run(), "aiojobs:test-worker")
        task, waited, seen = self._task, 0.0, ""
        await self.clock.rest()
        while not task.done() and waited < patience:
            await asyncio.wait([task], timeout=_TURN)
            await self.clock.rest()
            seen, before = await self._store.tail(), seen
            waited = waited + _TURN if seen == before else 0.0
        self._stuck_at = None if task.done() else await self._store.tail()
        if task.done():
            self._task = self._worker = None
            await task

    async def _advance_busy(self, end: float) -> None:
        """Let time pass while handlers run; it ends early when they have ended."""
        while self._task is not None and not self._task.done():
            left = end - self.clock.monotonic()
            if left <= 0:
                return
            await self.clock.advance(min(left, _STEP))

    async def _finish(self, ending: Coroutine[Any, Any, None]) -> None:
        """Await `ending`, giving it as much time as it asks the clock for."""
        task = start(ending, "aiojobs:test-end")
        while not task.done():
            await self.clock.rest()
            await asyncio.wait([task], timeout=_TURN)
            if not task.done():
                await self.clock.advance(_STEP)
        await task

    async def _stop_worker(self) -> None:
        if self._task is not None and self._worker is not None:
            self._worker.stop_now()
            await asyncio.wait([self._task])
            self._task = self._worker = None

    async def __aenter__(self) -> Self:
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="aiojobs-test-"))
        storage = LocalStorage(directory)
        parts = self.engine.substituted(store=self._store, clock=self.clock, storage=storage)
        self._stack.enter_context(parts)
        await self.engine.__aenter__()
        settings, registry = self.engine.settings, self.engine.registry
        own = entries_in_code(
            registry, Templates(self._store, clock=self.clock, settings=settings, registry=registry)
        )
        self._scheduler = Scheduler(
            self._store,
            self.clock,
            own=own,
            environment=settings.worker.environment,
            observing=Observing(tracing=find_tracing(settings)),
        )
        await self._scheduler.announce()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._finish(self._stop_worker())
            await self._finish(self.engine.__aexit__(kind, error, trace))
        finally:
            self._stack.close()


class _Recorder(MemoryBackend):
    """A store in memory that remembers what was dispatched to it."""

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.recorded: list[Envelope] = []

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        answers = await super().enqueue(envelopes)
        pairs = zip(envelopes, answers, strict=True)
        self.recorded += [envelope for envelope, answer in pairs if answer.created]
        return answers

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        answers = await super().fire(fires)
        stored = {FireOutcome.FIRED, FireOutcome.BY_HAND}
        pairs = zip(fires, answers, strict=True)
        self.recorded += [fire.job for fire, answer in pairs if fire.job and answer.outcome in stored]
        return answers


def _until(due_at: Instant | None, clock: ManualClock, left: float) -> float:
    if due_at is None:
        return left
    return min(left, max(0.001, (due_at - clock.now()) / 1000))
