"""The end of every run: the one writer of outcomes, decided in `settlement.py`.

Outcomes gather while the previous write is under way and travel in one `settle`. A write that fails is
repeated until the store answers: the token makes that safe, and the lease's end makes it unnecessary in the
worst case. Batches that fail become smaller, so that an outcome that can't be stored holds up no other.
"""

import logging
from collections.abc import Callable, Sequence
from random import Random

from msgspec.structs import replace

from aiojobs_engine.core.errors import BackendError, BackendFull, BackendUnavailable
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.outcome import Outcome
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo
from aiojobs_engine.ports.backend import Backend, Settlement
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.observer import Execution
from aiojobs_engine.ports.tracing import Attempt
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.outage import Outage
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.runtime.run_port import RunPort
from aiojobs_engine.runtime.settlement import Decider

logger = logging.getLogger(__name__)

_BATCH = 500
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


Ended = tuple[Run, Outcome, Settlement | None]
"""A run and what became of it; with its settlement where that was asked for at once."""


class Finalizer:
    """Turns outcomes into settlements and writes them.

    Attributes:
        settled: runs whose settlement the store took.
        lost: runs whose lease was somebody else's when they ended.
    """

    def __init__(
        self,
        store: Backend,
        clock: Clock,
        rng: Random,
        port: RunPort,
        on_scheduled: Callable[[], None],
        outage: Outage,
        observing: Observing | None = None,
    ) -> None:
        """Write to `store`; jitter comes from `rng`; `on_scheduled` hears of jobs that run later."""
        self._store = store
        self._clock = clock
        self._rng = rng
        self._port = port
        self._on_scheduled = on_scheduled
        self._outage = outage
        self._observing = observing or Observing()
        self._is_timed = bool(self._observing.observers)
        self._decider = Decider(rng, port.settings.limits.result_bytes, port.settings.masker)
        self._waiting: list[Ended] = []
        self._size = _BATCH
        self._pause = _FIRST_PAUSE
        self._wake = Wake(clock)
        self._idle = Wake(clock)
        self._is_writing = False
        self.settled = 0
        self.lost = 0

    def put(self, run: Run, outcome: Outcome) -> None:
        """Take the outcome of a run over; it is written as soon as the write under way is done."""
        span = run.span
        settlement = None if span is None else _traced(span, self._decided(run, outcome, self._clock.now()))
        run.is_finalized = True
        if self._is_timed:
            run.ended_at = self._clock.monotonic()
        self._waiting.append((run, outcome, settlement))
        if not self._is_writing:
            self._wake.set()
        if span is not None:
            span.decided(outcome, settlement)

    @property
    def waiting(self) -> list[Run]:
        """The runs whose outcomes are not written yet."""
        return [run for run, _, _ in list(self._waiting)]

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put has been written."""
        return not self._waiting and not self._is_writing

    async def drain(self) -> None:
        """Return when everything that was put has been written."""
        while not self.is_idle:
            await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled; cancelling loses nothing that a next `run` doesn't write."""
        while True:
            while self._waiting:
                await self._flush()
            self._idle.set()
            await self._wake.wait()

    async def _flush(self) -> None:
        batch = self._waiting[: self._size]
        self._is_writing = True
        try:
            settlements = await self._settlements(batch)
            sent_at = self._clock.monotonic()
            answers = await self._settle(batch, settlements)
        except Exception as error:
            self._part(len(batch))
            if not isinstance(error, BackendUnavailable | BackendFull):
                raise
            await self._wait_for_store(error)
            return
        finally:
            self._is_writing = False
        self._outage.over()
        del self._waiting[: len(batch)]
        self._size, self._pause = min(self._size * 2, _BATCH), _FIRST_PAUSE
        if any(settlement.due_at is not None for settlement in settlements):
            self._on_scheduled()
        for (run, _, _), accepted in zip(batch, answers, strict=True):
            if accepted:
                self.settled += 1
            else:
                self._report_lost(run)
        if self._is_timed:
            self._tell(batch, settlements, answers, self._clock.monotonic() - sent_at)

    def _tell(
        self,
        batch: Sequence[Ended],
        settlements: Sequence[Settlement],
        answers: Sequence[bool],
        seconds: float,
    ) -> None:
        executions = [
            Execution(run.claim, outcome, settlement, _seconds(run), accepted)
            for (run, outcome, _), settlement, accepted in zip(batch, settlements, answers, strict=True)
        ]
        for observer in self._observing.observers:
            observer.settled(executions, seconds)

    def _part(self, size: int) -> None:
        """Try half of a batch that failed; in the end one that fails alone goes behind the others."""
        self._size = max(1, size // 2)
        if size == 1:
            self._waiting.append(self._waiting.pop(0))

    async def _wait_for_store(self, error: BackendError) -> None:
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        self._outage.note(error)
        await self._clock.sleep(pause * self._rng.uniform(0.5, 1.5))

    async def _settle(self, batch: Sequence[Ended], settlements: list[Settlement]) -> list[bool]:
        tracing = self._observing.tracing()
        if tracing is None:
            return await self._store.settle(settlements)
        runs = zip(batch, settlements, strict=True)
        written = [(run.span, run.claim.envelope, settlement) for (run, _, _), settlement in runs]
        with tracing.settle(written):
            return await self._store.settle(settlements)

    async def _settlements(self, batch: Sequence[Ended]) -> list[Settlement]:
        now = self._clock.now()
        settlements = [decided or self._decided(run, outcome, now) for run, outcome, decided in batch]
        for place, settlement in enumerate(settlements):
            run = batch[place][0]
            if (
                settlement.status is Status.FAILED
                and run.claim.envelope.kind != "job"
                and not settlement.faults
            ):
                settlements[place] = await self._with_lost_rows(run, settlement)
        return settlements

    def _report_lost(self, run: Run) -> None:
        self.lost += 1
        lease = run.claim.lease
        logger.warning(
            "the lease of job %s (token %d) was lost; its outcome counts nothing", lease.job_id, lease.token
        )

    def _decided(self, run: Run, outcome: Outcome, now: Instant) -> Settlement:
        try:
            return self._decider.decide(run, outcome, now)
        except Exception as error:
            logger.exception("the outcome of job %s could not be told", run.claim.envelope.id)
            return self._decider.internal_failure(run, error, now)

    async def _with_lost_rows(self, run: Run, settlement: Settlement) -> Settlement:
        context = run.context or JobContext(run.claim, self._port)
        error = settlement.error or ErrorInfo("unknown", "")
        try:
            lost = await run.job_type.lost_rows(context, run.claim, error)
        except Exception:
            logger.exception("the rows of job %s can't be read any more", run.claim.envelope.id)
            return settlement
        return self._decider.with_lost_rows(run, settlement, lost)


def _traced(span: Attempt, settlement: Settlement) -> Settlement:
    """The settlement, whose error tells the next run which span to link to."""
    if settlement.error is None:
        return settlement
    return replace(settlement, error=replace(settlement.error, trace=span.trace))


def _seconds(run: Run) -> float | None:
    if run.began_at is None or run.ended_at is None:
        return None
    return run.ended_at - run.began_at
