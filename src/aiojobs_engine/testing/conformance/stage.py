"""A store with hands: the short way of saying what a case needs."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import (
    JobCancelled,
    JobCompleted,
    JobDiscarded,
    JobEvent,
    JobFailed,
    JobInterrupted,
    JobProgressed,
    JobRetrying,
    StoredEvent,
    event_of,
)
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.core.instant import Instant, later
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, JobFailure, JobStatus
from aiojobs_engine.ports.backend import Claim, Enqueued, JobFilter, Record, Settlement, Store, Watch
from aiojobs_engine.testing.clock import ManualClock

PAYLOAD = msgspec.Raw(b'{"n":1}')
EVENT_OF: Mapping[Status, type[JobEvent]] = MappingProxyType(
    {
        Status.COMPLETED: JobCompleted,
        Status.PARTIAL: JobCompleted,
        Status.FAILED: JobFailed,
        Status.RETRYING: JobRetrying,
        Status.SCHEDULED: JobRetrying,
        Status.PENDING: JobInterrupted,
        Status.PAUSED: JobInterrupted,
        Status.WAITING: JobProgressed,
        Status.DISCARDED: JobDiscarded,
        Status.CANCELLED: JobCancelled,
    }
)
UNCOUNTED = frozenset({Status.PENDING, Status.PAUSED, Status.WAITING})
WATCH = Watch("w1", ("default",), ("work", "bulk"))

_PAGE = 100
_STEP = 0.05
_GRACE = 50


class Stage:
    """A store, its clock, and what cases do with them again and again."""

    def __init__(self, backend: Store, clock: ManualClock) -> None:
        """Play on an open store that was made with `clock`."""
        self.backend = backend
        self.clock = clock

    def after(self, seconds: float) -> Instant:
        """The instant `seconds` from now."""
        return later(self.clock.now(), seconds)

    def envelope(self, job_id: str, **fields: Any) -> Envelope:
        """A job of the type `work`, with what `fields` change."""
        given: dict[str, Any] = {"type": "work", "payload": PAYLOAD, "created_at": self.clock.now(), **fields}
        given["payload"] = msgspec.Raw(given["payload"])
        return Envelope(id=job_id, **given)

    def chunk(self, parent_id: str, number: int, rows: int = 10, **fields: Any) -> Envelope:
        """A chunk of `rows` rows, with the id `parent:number`."""
        return self.envelope(f"{parent_id}:{number}", parent_id=parent_id, total=rows, **fields)

    async def put(self, *job_ids: str, **fields: Any) -> list[Enqueued]:
        """Enqueue jobs that have all `fields` in common."""
        return await self.backend.enqueue([self.envelope(job_id, **fields) for job_id in job_ids])

    async def take(
        self,
        limit: int = 100,
        *,
        worker: str = "w1",
        lease: float = 30.0,
        ahead: int = 0,
        queues: Sequence[str] = WATCH.queues,
        types: Sequence[str] = WATCH.types,
    ) -> list[Claim]:
        """Claim for a worker."""
        return await self.backend.claim(Watch(worker, tuple(queues), tuple(types)), limit, lease, ahead)

    async def take_one(self, **options: Any) -> Claim:
        """Claim the one job that comes first."""
        (claim,) = await self.take(1, **options)
        return claim

    async def limit(self, **fields: Any) -> None:
        """Store one limit, of the queue `default` unless `fields` say another."""
        given: dict[str, Any] = {"queue": "default", **fields}
        await self.backend.set_limits([Limit(**given)])

    async def wait(self, timeout: float) -> None:
        """Wait as a worker does."""
        await self.backend.wait(WATCH, timeout)

    async def start(self, job_id: str, **fields: Any) -> Claim:
        """Enqueue a job and claim it, in a store where nothing else is pending."""
        await self.put(job_id, **fields)
        return await self.take_one()

    def settlement(self, claim: Claim, status: Status, **fields: Any) -> Settlement:
        """The end of a run as a finalizer decides it: an attempt counts unless the job was handed back."""
        attempts = claim.attempts + (status not in UNCOUNTED)
        counters: Counters = fields.get("counters") or claim.counters
        event = event_of(
            EVENT_OF[status], claim.envelope, status, counters, claim.attempts + 1, self.clock.now()
        )
        given: dict[str, Any] = {"attempts": attempts, "crashes": claim.crashes, "event": event, **fields}
        return Settlement(lease=claim.lease, status=status, parent_id=claim.envelope.parent_id, **given)

    def progressed(self, claim: Claim, counters: Counters, message: str | None = None) -> JobProgressed:
        """What a run tells of its progress."""
        attempt, now = claim.attempts + 1, self.clock.now()
        return event_of(JobProgressed, claim.envelope, Status.PROCESSING, counters, attempt, now, message)

    async def settle(self, claim: Claim, status: Status, **fields: Any) -> bool:
        """Settle one run."""
        (answer,) = await self.backend.settle([self.settlement(claim, status, **fields)])
        return answer

    async def record(self, claim: Claim, **fields: Any) -> bool:
        """Record for one run."""
        (answer,) = await self.backend.record([Record(lease=claim.lease, **fields)])
        return answer

    async def spawn(
        self, job_id: str = "bulk", chunks: int = 2, rows: int = 10, kind: str = "import"
    ) -> list[Claim]:
        """A waiting bulk job; the claims of its chunks, in order."""
        await self.plan(job_id, chunks, rows, kind)
        claims = await self.take(chunks)
        assert [claim.envelope.id for claim in claims] == [f"{job_id}:{n}" for n in range(1, chunks + 1)]
        return claims

    async def plan(self, job_id: str = "bulk", chunks: int = 2, rows: int = 10, kind: str = "import") -> None:
        """A waiting bulk job whose chunks are pending, in a store where nothing else is."""
        claim = await self.start(job_id, type="bulk", kind=kind, strategy="batch")
        children = tuple(self.chunk(job_id, number, rows) for number in range(1, chunks + 1))
        assert await self.record(claim, children=children)
        assert await self.settle(claim, Status.WAITING)

    async def bring(self, job_id: str, status: Status) -> None:
        """A new job, brought to `status`, in a store where nothing else is pending."""
        if status is Status.SCHEDULED:
            await self.put(job_id, scheduled_at=self.after(60))
        elif status is Status.WAITING:
            await self.plan(job_id)
        elif status is Status.EXPIRED:
            await self.put(job_id, expires_at=self.clock.now())
            await self.backend.promote(100)
        elif status in {Status.PENDING, Status.PAUSED}:
            await self.put(job_id)
            if status is Status.PAUSED:
                await self.backend.pause([job_id])
        else:
            claim = await self.start(job_id)
            if status is not Status.PROCESSING:
                due = self.after(60) if status is Status.RETRYING else None
                assert await self.settle(claim, status, due_at=due)
        assert (await self.status(job_id)).status is status

    async def status(self, job_id: str) -> JobStatus:
        """How a stored job stands."""
        (status,) = await self.backend.get([job_id])
        assert status is not None, f"{job_id} is not stored"
        return status

    async def is_at(self, *job_ids: str) -> list[Status]:
        """The statuses of stored jobs."""
        return [(await self.status(job_id)).status for job_id in job_ids]

    async def all_jobs(self, which: JobFilter | None = None, page: int = _PAGE) -> list[JobStatus]:
        """Every job that fits, page by page."""
        found, cursor = await self.backend.find(which or JobFilter(), page, None)
        jobs = list(found)
        while cursor is not None:
            found, cursor = await self.backend.find(which or JobFilter(), page, cursor)
            jobs += found
        return jobs

    async def tagged(self, tag: str) -> list[JobStatus]:
        """Every job that has a tag."""
        return await self.all_jobs(JobFilter(tag=tag))

    async def failures(self, job_id: str, *, unresolved: bool = False) -> list[JobFailure]:
        """The failed rows of a job."""
        return await self.backend.failures(job_id, unresolved=unresolved, after=None, limit=1000)

    async def events(self, after: str | None = None) -> list[StoredEvent]:
        """All stored events after the cursor, page by page."""
        events: list[StoredEvent] = []
        while True:
            page, cursor = await self.backend.read(after, _PAGE)
            if not page and cursor == after:
                return events
            events += page
            after = cursor

    async def told(self, job_id: str) -> list[str]:
        """The names of a job's stored events, in order."""
        return [type(event).__name__ for event in await self.events() if event.job_id == job_id]

    async def picture(self) -> object:
        """All that a reader sees, for comparing before and after."""
        jobs = await self.all_jobs()
        failures = [await self.failures(job.id) for job in jobs]
        return jobs, failures, await self.events(), await self.backend.counts(), await self.backend.queues()

    async def ends_within(self, task: "asyncio.Task[None]", seconds: float) -> bool:
        """Whether a task ends while the clock moves by at most `seconds`; others get the time they need."""
        for _ in range(round(seconds / _STEP)):
            await self.clock.rest()
            if task.done():
                return True
            await self.clock.advance(_STEP)
            await asyncio.sleep(0.001)
        for _ in range(_GRACE):  # a store elsewhere has its answer on the way
            await self.clock.rest()
            if task.done():
                break
            await asyncio.sleep(0.001)
        return task.done()
