"""Starts claimed jobs in the slots and sees each run to its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import msgspec

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import LeaseLostError
from aiojobs_engine.core.options import Resolved, resolve
from aiojobs_engine.core.outcome import Failed, Interrupted, Outcome, WorkerLost
from aiojobs_engine.ports.backend import Claim, Record
from aiojobs_engine.ports.tracing import Tracing
from aiojobs_engine.runtime.deadlines import Deadlines
from aiojobs_engine.runtime.executor import ended, execute
from aiojobs_engine.runtime.finalizer import Finalizer
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.registry import JobRegistry, JobType
from aiojobs_engine.runtime.run import Run, Stop
from aiojobs_engine.runtime.run_port import RunPort
from aiojobs_engine.runtime.slots import Slots

logger = logging.getLogger(__name__)

_QUARANTINE_AFTER = 2

Alive = Callable[[], None]
Isolate = Callable[[Claim, Alive], Awaitable[Outcome]]
"""Runs a claimed job elsewhere. It calls `Alive` when the handler starts and at each checkpoint: from then on
the timeout counts, so that waiting for the process costs the job nothing."""


Alone = Callable[[Claim], Awaitable[Outcome | None]]
"""The other side: runs a job that another worker finalizes; None when the lease is lost."""


class Runs:
    """The runs of one worker."""

    def __init__(
        self,
        registry: JobRegistry,
        settings: Settings,
        *,
        slots: Slots,
        deadlines: Deadlines,
        finalizer: Finalizer,
        port: RunPort,
        isolate: Isolate | None,
        worker: str = "",
        observing: Observing | None = None,
    ) -> None:
        """Find handlers in `registry`; jobs that killed two workers go to `isolate`."""
        observing = observing or Observing()
        self._worker = worker
        self._tracing = observing.tracing
        self._is_timed = bool(observing.observers)
        self._types: Mapping[str, JobType[..., object]] = registry.types
        self._settings = settings
        self._options = {
            name: resolve(name, job_type.kind, job_type.decorated, settings)
            for name, job_type in self._types.items()
        }
        for name, section in settings.jobs.items():
            if section.run_in is not None and name in self._types:
                self._types[name].place(section.run_in)
        self._slots = slots
        self._deadlines = deadlines
        self._finalizer = finalizer
        self._port = port
        self._isolate = isolate
        self._is_stopping = False

    @property
    def options(self) -> Mapping[str, Resolved]:
        """The resolved options by job type."""
        return self._options

    def start(self, claim: Claim, sent_at: float, *, was_ahead: bool = False) -> None:
        """Run the job as soon as there is a slot; while the worker stops it goes back instead."""
        name = claim.envelope.type
        run = Run(claim, self._types[name], self._options[name], sent_at)
        run.was_ahead = was_ahead
        if claim.crashes or claim.epoch:
            self._end_older(claim)
        if self._is_stopping:
            self.hand_back(run)
        else:
            self._slots.start(run)

    def hand_back(self, run: Run) -> None:
        """Return a job that has not begun, with no attempt counted."""
        self._finalizer.put(run, Interrupted())

    def go(self, run: Run) -> Coroutine[Any, Any, None]:
        """What a slot runs."""
        claim, tracing = run.claim, self._tracing()
        if self._is_timed:
            run.began_at = self._port.monotonic()
        if claim.crashes >= _QUARANTINE_AFTER:
            if self._isolate is not None:
                work = partial(self._quarantine, isolate=self._isolate)
                return work(run) if tracing is None else self._traced(run, tracing, work)
            logger.warning(
                "job %s ran where %d workers died, and can't have a process of its own: that takes a store "
                "given by its URL and an engine under a name in a module",
                claim.envelope.id,
                claim.crashes,
            )
        self._count_time(run)
        return self._run(run) if tracing is None else self._traced(run, tracing, self._run)

    async def alone(self, claim: Claim) -> Outcome | None:
        """Run a job that another worker finalizes, last progress included; None when the lease is lost."""
        run = Run(claim, self._types[claim.envelope.type], self._options[claim.envelope.type], 0.0)
        tracing = self._tracing()
        with nullcontext() if tracing is None else tracing.inside(claim.envelope.headers):
            outcome = await execute(run, self._port)
        context = run.context
        if outcome is None or context is None:
            return outcome
        counters, message = context.final_counters, context.message
        if counters is not None or message is not None:
            try:
                await self._port.record(Record(lease=claim.lease, counters=counters, message=message))
            except LeaseLostError:
                return None
        return outcome

    def bury(self, claim: Claim) -> None:
        """Finalize a job whose worker was lost; of a type that this worker doesn't know, too."""
        self._end_older(claim)
        envelope = claim.envelope
        job_type = self._types.get(envelope.type) or _stand_in(envelope)
        options = self._options.get(envelope.type) or resolve(
            envelope.type, envelope.kind, {}, self._settings
        )
        self._finalizer.put(Run(claim, job_type, options, 0.0), WorkerLost())

    def _end_older(self, claim: Claim) -> None:
        """Cancel runs of the job that this worker still has from before it lost the lease unawares."""
        job_id = claim.lease.job_id
        for run in [run for run in self._slots.ahead.runs if run.claim.lease.job_id == job_id]:
            self._slots.ahead.drop(run)
        for run in [run for run in self._slots.runs.values() if run.claim.lease.job_id == job_id]:
            if not run.is_finalized and run.stop is not Stop.LOST:
                logger.warning("the lease of job %s was lost; its handler is cancelled", job_id)
                self._deadlines.end(run, Stop.LOST)

    def give_up(self, run: Run) -> None:
        """Finalize a run that ignores every cancel, and use its slot for others."""
        logger.error(
            "job %s ignores that it was cancelled; its slot is given to others", run.claim.envelope.id
        )
        outcome = ended(run, asyncio.CancelledError())
        if outcome is not None and not run.is_finalized:
            self._finalizer.put(run, outcome)
        self._slots.give_up(run)

    def tell_stopping(self) -> None:
        """Let handlers know that the worker stops: their next checkpoint hands them back."""
        self._is_stopping = True
        self._slots.ahead.clear()
        for run in self._slots.runs.values():
            if run.context is not None:
                run.context.stopping = True

    def end_all(self) -> None:
        """Cancel every run; each goes back with no attempt counted."""
        for run in list(self._slots.runs.values()):
            if not run.is_finalized and run.stop is None:
                self._deadlines.end(run, Stop.SHUTDOWN)

    async def _traced(
        self, run: Run, tracing: Tracing, work: Callable[[Run], Coroutine[Any, Any, None]]
    ) -> None:
        with tracing.process(run.claim, self._worker, run.max_attempts) as run.span:
            await work(run)

    async def _run(self, run: Run) -> None:
        try:
            outcome = await execute(run, self._port)
            if outcome is not None and not run.is_finalized:
                self._finalizer.put(run, outcome)
        finally:
            self._deadlines.discard(run)
            if run.busy is not None:
                await run.busy.wait()
            self._slots.release(run)

    def _count_time(self, run: Run) -> None:
        timeout = run.timeout
        if timeout and run.stop is None:
            self._deadlines.add(run, timeout)

    async def _quarantine(self, run: Run, isolate: Isolate) -> None:
        try:
            outcome = await self._isolated(run, isolate)
            if outcome is not None and not run.is_finalized:
                self._finalizer.put(run, outcome)
        finally:
            self._deadlines.discard(run)
            self._slots.release(run)

    async def _isolated(self, run: Run, isolate: Isolate) -> Outcome | None:
        logger.info(
            "job %s ran where %d workers died; it runs in a process of its own",
            run.claim.envelope.id,
            run.claim.crashes,
        )
        try:
            return await isolate(self._carrying(run), partial(self._count_time, run))
        except asyncio.CancelledError as error:
            return ended(run, error)
        except LeaseLostError:
            return None
        except Exception as error:  # noqa: BLE001 - a process that can't be started is a failed attempt
            return Failed(error)

    def _carrying(self, run: Run) -> Claim:
        """The claim, which takes the context of the run's span along to another process."""
        tracing = None if run.span is None else self._tracing()
        if tracing is None:
            return run.claim
        (envelope,) = tracing.carried([run.claim.envelope])
        return msgspec.structs.replace(run.claim, envelope=envelope)


def _stand_in(envelope: Envelope) -> JobType[..., object]:
    return JobType(_unknown, name=envelope.type, kind=envelope.kind, options={}, ids=str)


async def _unknown() -> None:
    """Stand in for a handler that only other workers have; it is never called."""
