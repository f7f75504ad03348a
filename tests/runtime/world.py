"""A worker on the memory store and a clock that the test moves."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

import msgspec
from anyio.lowlevel import checkpoint

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.config import Settings, WorkerSettings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobRetrying, StoredEvent, event_of
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import Settlement, Watch
from aiojobs_engine.runtime.context import Middleware
from aiojobs_engine.runtime.registry import JobRegistry, JobType
from aiojobs_engine.runtime.task_group import join, start
from aiojobs_engine.runtime.worker import Worker
from aiojobs_engine.testing.clock import ManualClock


class NoStorage:
    """Plain jobs have no rows."""

    async def remove(self, name: str) -> None:
        del name

    async def expire(self, now: int, stored: Any) -> int:
        del now, stored
        return 0


class World:
    def __init__(
        self, *, settings: Settings | None = None, store: Any = None, clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self.store: Any = store or MemoryBackend(clock=self.clock)
        self.settings = settings or Settings(worker=WorkerSettings(concurrency=10, lease=10.0))
        self.registry = JobRegistry(self.clock)
        self.middleware: Sequence[Middleware] = ()
        self.resources: Any = None
        self.isolate: Any = None

    def worker(self, **options: Any) -> Worker:
        return Worker(
            self.store,
            self.registry,
            self.settings,
            self.clock,
            engine=None,
            storage=NoStorage(),  # type: ignore[arg-type]
            middleware=self.middleware,
            resources=self.resources,
            isolate=self.isolate,
            rng=Random(1),
            **options,
        )

    @contextlib.asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Worker]:
        await self.store.open()
        worker = self.worker(**options)
        task = start(worker.run(), "worker under test")
        await self.clock.rest()
        try:
            yield worker
        finally:
            worker.stop_now()
            await self.clock.advance(60)
            await join(task)
            if not task.cancelled():
                task.result()

    async def push(self, job: Job[Any], **fields: Any) -> str:
        envelope = Envelope(
            id=job.id, type=job.type, payload=msgspec.Raw(job.payload), created_at=self.clock.now(), **fields
        )
        answers = await self.store.enqueue([envelope])
        assert answers[0].created
        return job.id

    async def push_before_open(self, job: Job[Any]) -> str:
        await self.store.open()
        return await self.push(job)

    async def crash(self, job_type: JobType[..., Any]) -> None:
        """Let a worker take the next job and die, as far as the store can tell once it was rescued."""
        (claim,) = await self.store.claim(Watch("dead", ("default",), (job_type.name,)), 1, 10.0)
        attempts, crashes = claim.attempts + 1, claim.crashes + 1
        event = event_of(
            JobRetrying, claim.envelope, Status.PENDING, claim.counters, attempts, self.clock.now(), "died", 0
        )
        settlement = Settlement(
            lease=claim.lease, status=Status.PENDING, attempts=attempts, crashes=crashes, event=event
        )
        assert await self.store.settle([settlement]) == [True]

    async def status(self, job_id: str) -> JobStatus:
        (found,) = await self.store.get([job_id])
        assert isinstance(found, JobStatus)
        return found

    async def until_final(self, job_id: str, *, seconds: float = 3600.0, step: float = 1.0) -> JobStatus:
        await self.clock.rest()
        elapsed = 0.0
        while (found := await self.status(job_id)).status not in FINAL:
            assert elapsed < seconds, f"still {found.status} after {seconds} virtual seconds"
            await self.clock.advance(step)
            elapsed += step
        return found

    async def until_real(self, job_id: str, wanted: Status) -> JobStatus:
        """Wait for a thread, which virtual time doesn't move."""
        while (found := await self.status(job_id)).status is not wanted:
            await checkpoint()
        return found

    async def events(self, job_id: str) -> list[StoredEvent]:
        found, _ = await self.store.read(None, 100_000)
        return [event for event in found if event.job_id == job_id]

    async def names(self, job_id: str) -> list[str]:
        return [type(event).__name__ for event in await self.events(job_id)]
