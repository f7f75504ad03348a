"""The worker as the contexts of its runs see it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from logging import Logger
from typing import Any

import msgspec

from aiojobs_engine.core.codec import CarriedResult
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import LeaseLostError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.backend import Claim, Record, Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.storage import Storages
from aiojobs_engine.ports.tracing import FindTracing, no_tracing
from aiojobs_engine.runtime.batcher import Batcher
from aiojobs_engine.runtime.context import JobContext, Middleware
from aiojobs_engine.runtime.deadlines import Deadlines
from aiojobs_engine.runtime.offload import Offload
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.runtime.slots import Slots


class WorkerPort:
    """Everything that runs of one worker share.

    Attributes:
        resources: what the engine's resources yielded, None without.
        on_touch: called when a run asks for its deadline to start anew; None where deadlines are kept here.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Settings,
        *,
        engine: object,
        storage: Storages,
        middleware: Sequence[Middleware],
        slots: Slots,
        deadlines: Deadlines,
        tracing: FindTracing = no_tracing,
    ) -> None:
        """Write to `store`, on behalf of the runs in `slots`."""
        self._clock = clock
        self._slots = slots
        self._deadlines = deadlines
        self._tracing = tracing
        self._offload = Offload(slots.limit)
        self._records = Batcher(store.record)
        self.settings = settings
        self.engine: Any = engine
        self.storage = storage
        self.middleware = middleware
        self.resources: Any = None
        self.on_touch: Callable[[], None] | None = None
        self.logger: Logger = logging.getLogger("aiojobs_engine.jobs")

    def now(self) -> Instant:
        """The wall clock, ms since the epoch."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds, for durations."""
        return self._clock.monotonic()

    async def record(self, record: Record) -> None:
        """Write under the lease, together with what other runs write.

        Raises:
            LeaseLostError: another worker holds the job.
        """
        if record.children and (tracing := self._tracing()) is not None:
            record = msgspec.structs.replace(record, children=tuple(tracing.carried(record.children)))
        if not await self._records.submit(record):
            raise LeaseLostError(f"job {record.lease.job_id} is held by another worker now")

    def touch(self, claim: Claim) -> None:
        """Start the deadline of a run anew."""
        if self.on_touch is not None:
            self.on_touch()
        run = self._run_of(claim)
        if run is not None and run.deadline and run.stop is None:
            self._deadlines.add(run, run.timeout)

    async def in_thread(self, context: JobContext, call: Callable[[], Any]) -> Any:
        """Call a plain function in a thread; the slot stays taken until the thread ends."""
        ended = asyncio.Event()
        run = self._run_of(context.claim)
        if run is not None:
            run.busy = ended
        return await self._offload.in_thread(call, ended)

    async def in_process(self, fn: Callable[..., Any], payload: bytes) -> CarriedResult:
        """Call a plain function, found by its name, on encoded arguments in a process."""
        tracing = self._tracing()
        return await self._offload.in_process(fn, payload, None if tracing is None else tracing.here())

    async def remove_files(self, job_ids: Sequence[str]) -> None:
        """Remove the stored rows of deleted jobs."""
        for job_id in job_ids:
            await self.storage.remove(job_id)

    def _run_of(self, claim: Claim) -> Run | None:
        return self._slots.runs.get((claim.lease.job_id, claim.lease.token))
