"""The memory store: reading for people and handles."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

import msgspec
from anyio.lowlevel import checkpoint

from aiojobs_engine.backends.memory.ledger import Part
from aiojobs_engine.backends.memory.records import StoredJob, job_status, list_failures
from aiojobs_engine.core.envelope import Envelope, decode_envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobFailure, JobStatus
from aiojobs_engine.core.views import listing_end
from aiojobs_engine.ports.backend import JobFilter, Outlook, QueueStats, Result, TypeRecord, WorkerRecord
from aiojobs_engine.ports.checkup import Finding

_Seen = TypeVar("_Seen")
_type_decoder = msgspec.json.Decoder(TypeRecord)


class MemoryInspector(Part):
    """`Inspector` of the memory store; a listing looks at every job."""

    async def examine(self) -> list[Finding]:
        """Nothing: what it holds lies in this process alone."""
        self._opened()
        return []

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand."""
        now = self._ledger.clock.now()
        return self._each(ids, lambda job: job_status(job, now))

    async def find(
        self, which: JobFilter, limit: int, cursor: str | None
    ) -> tuple[list[JobStatus], str | None]:
        """At most `limit` jobs, the last accepted first, and the cursor of the next page."""
        ledger, now = self._opened(), self._ledger.clock.now()
        end = listing_end(cursor)
        jobs: Iterable[StoredJob] = reversed(ledger.jobs.values())
        if which.ids is not None:
            named = [ledger.jobs[job_id] for job_id in set(which.ids) if job_id in ledger.jobs]
            jobs = sorted(named, key=lambda job: -job.place)
        fitting = (job for job in jobs if job.place < end and _fits(job, which))
        page = list(islice(fitting, max(1, limit) + 1))
        has_more = len(page) > max(1, limit)
        page = page[: max(1, limit)]
        return [job_status(job, now) for job in page], str(page[-1].place) if has_more else None

    async def envelopes(self, ids: Sequence[str]) -> list[Envelope | None]:
        """What was dispatched, word for word."""
        return self._each(ids, lambda job: decode_envelope(job.body))

    async def results(self, ids: Sequence[str]) -> list[Result | None]:
        """Status, encoded result and error."""
        await checkpoint()
        now = self._ledger.clock.now()
        return self._each(ids, lambda job: _result(job, now))

    async def outlooks(self, ids: Sequence[str]) -> list[Outlook | None]:
        """What stands between jobs and their next step."""
        ledger = self._opened()
        now, elapsed = ledger.clock.now(), ledger.boot_now()

        def outlook(job: StoredJob) -> Outlook:
            if job.status is Status.PENDING:
                return Outlook(ahead=ledger.ahead_of(job))
            is_leased = job.status is Status.PROCESSING
            return Outlook(lease_until=Instant(now + job.lease_until - elapsed) if is_leased else None)

        return self._each(ids, outlook)

    async def counts(self) -> dict[tuple[str, Status], int]:
        """Jobs by queue and status, without zeros."""
        return {key: number for key, number in self._opened().tally.items() if number}

    async def queues(self) -> list[QueueStats]:
        """Every queue that has or had jobs, or is paused, by name."""
        ledger, now = self._opened(), self._ledger.clock.now()
        oldest: dict[str, Instant] = {}
        for job in ledger.jobs.values():
            if job.status is Status.PENDING:
                due = job.envelope.created_at if job.scheduled_at is None else job.scheduled_at
                oldest[job.envelope.queue] = min(due, oldest.get(job.envelope.queue, due))
        counts = await self.counts()
        return [
            QueueStats(
                name=name,
                paused=name in ledger.paused,
                counts={status.value: number for (queue, status), number in counts.items() if queue == name},
                oldest_age=max(0.0, (now - oldest[name]) / 1000) if name in oldest else None,
            )
            for name in sorted(ledger.queues)
        ]

    async def workers(self) -> list[WorkerRecord]:
        """The workers that announced themselves and didn't leave, by start."""
        return sorted(self._opened().workers.values(), key=lambda worker: (worker.started_at, worker.id))

    async def types(self) -> list[TypeRecord]:
        """The published job types, by name."""
        return [_type_decoder.decode(body) for _, body in sorted(self._opened().types.items())]

    async def failures(
        self, job_id: str, *, unresolved: bool, after: str | None, limit: int
    ) -> list[JobFailure]:
        """At most `limit` failed rows of a bulk job after the failure `after`, in row order."""
        job = self._opened().jobs.get(job_id)
        return [] if job is None else list_failures(job, unresolved=unresolved, after=after, limit=limit)

    def _each(self, ids: Sequence[str], view: Callable[[StoredJob], _Seen]) -> list[_Seen | None]:
        jobs = self._opened().jobs
        return [None if (job := jobs.get(job_id)) is None else view(job) for job_id in ids]


def _result(job: StoredJob, now: Instant) -> Result:
    is_over = job.result_is_over(now)
    return Result(
        status=job.status,
        type=job.envelope.type,
        result=None if is_over else job.result,
        expired=is_over,
        error=job.error,
    )


def _fits(job: StoredJob, which: JobFilter) -> bool:
    envelope = job.envelope
    wanted_and_is = (
        (which.type, envelope.type),
        (which.kind, envelope.kind),
        (which.queue, envelope.queue),
        (which.parent_id, envelope.parent_id),
        (which.user_id, None if envelope.user_id is None else str(envelope.user_id)),
        (which.reason, None if job.error is None else job.error.reason),
    )
    return (
        all(wanted is None or wanted == found for wanted, found in wanted_and_is)
        and (which.status is None or job.status in which.status)
        and (which.tag is None or which.tag in envelope.tags)
        and not (which.dead and (job.status is not Status.FAILED or job.has_chunks))
    )
