"""The memory store: what workers and dispatchers call."""

from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from aiojobs_engine.backends.memory.chunks import after_end, end_if_done, expire_queued, finish
from aiojobs_engine.backends.memory.control import MemoryControl, cancel_job, pause_job
from aiojobs_engine.backends.memory.cron import Crons, MemoryCron
from aiojobs_engine.backends.memory.executions import MemoryExecutions
from aiojobs_engine.backends.memory.flows import add_linked, close_batches, missing_link
from aiojobs_engine.backends.memory.inspector import MemoryInspector
from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.limits import MemoryLimits
from aiojobs_engine.backends.memory.records import StoredJob, note_faults
from aiojobs_engine.backends.memory.room import refuses, shed
from aiojobs_engine.backends.memory.stream import MemoryStream
from aiojobs_engine.backends.memory.unique import holder_of
from aiojobs_engine.core.envelope import Envelope, decode_envelope, encode_envelope, is_linked, is_same_job
from aiojobs_engine.core.events import JobStarted, LeaseLost
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import (
    Claim,
    Enqueued,
    Lease,
    LeaseStatus,
    Promoted,
    Record,
    Settlement,
    Watch,
)
from aiojobs_engine.ports.clock import Clock, Wake


class MemoryBackend(MemoryControl, MemoryCron, MemoryExecutions, MemoryLimits, MemoryInspector, MemoryStream):
    """A store in this process, gone with it. Closed and opened again, it still holds its jobs.

    A call that waits for nothing never yields to the loop, so each is atomic by itself; what callers may
    repeat for ever without waiting for anything else yields first.
    """

    def __init__(self, *, clock: Clock, max_jobs: int | None = None, max_events: int = 100_000) -> None:
        """Hold at most `max_jobs` jobs (None is no bound), and the last `max_events` events."""
        self._ledger = Ledger(clock, max_jobs, max_events)
        self._crons = Crons()
        self._executions = {}

    async def open(self) -> None:
        """Let calls in."""
        self._ledger.is_open = True

    async def close(self) -> None:
        """Let no more calls in, and wake all that wait."""
        self._ledger.is_open = False
        self._ledger.log.ring()
        for bell in self._ledger.waiters:
            bell.set()

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """Store new jobs; see the port."""
        await checkpoint()
        ledger, now = self._opened(), self._ledger.clock.now()
        bodies = [encode_envelope(envelope) for envelope in envelopes]
        ledger.check_room(envelope.id for envelope in envelopes)
        if (missing := missing_link(ledger, envelopes)) is not None:
            return [Enqueued(envelope.id, created=False, missing=missing) for envelope in envelopes]
        answers: list[Enqueued] = []
        for envelope, body in zip(envelopes, bodies, strict=True):
            stored = ledger.jobs.get(envelope.id)
            if stored is None and is_linked(envelope):
                add_linked(ledger, envelope, body, now)
                answers.append(Enqueued(envelope.id, created=True))
                continue
            if stored is None and (holder := holder_of(ledger, envelope, now)) is not None:
                answers.append(Enqueued(holder.id, created=False))
                continue
            if stored is None and refuses(ledger, envelope, now):
                answers.append(Enqueued(envelope.id, created=False, refused=True))
                continue
            if stored is None:
                ledger.add(body, now)
            is_conflict = stored is not None and not is_same_job(stored.envelope, envelope)
            answers.append(Enqueued(envelope.id, stored is None, is_conflict))
        shed(ledger, [answer.job_id for answer in answers if answer.created], now)
        close_batches(ledger, envelopes, answers, now)
        finish(ledger, now)
        ledger.log.publish()
        return answers

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        """Lease pending jobs in claim order; see the port."""
        ledger, now = self._opened(), self._ledger.clock.now()
        until = ledger.boot_now() + round(lease * 1000)
        claims: list[Claim] = []
        if limit > 0:
            gate = ledger.gate(now)
            for job in ledger.pending(watch, gate, now):
                if job.is_expired(now):
                    expire_queued(ledger, job, now)
                    continue
                job.has_started = len(claims) < limit - ahead
                claims.append(_lease(ledger, job, watch.worker, until, now))
                if len(claims) >= limit:
                    break
            ledger.flow.passed(gate)
        finish(ledger, now)
        ledger.log.publish()
        return claims

    async def wait(self, watch: Watch, timeout: float, *, is_idle: bool = False) -> None:  # noqa: ARG002 - all are woken
        """Return when the watched queues may have gained work, or after `timeout` seconds."""
        ledger = self._opened()
        deadline = ledger.clock.monotonic() + timeout
        bell = Wake(ledger.clock)
        ledger.waiters[bell] = watch
        try:
            while True:
                now = ledger.clock.now()
                gate = ledger.gate(now)
                left = deadline - ledger.clock.monotonic()
                if left <= 0 or any(True for _ in ledger.pending(watch, gate, now)):
                    return
                openings = [
                    at
                    for at in (None if gate is None else gate.opens_at, ledger.flow.opening())
                    if at is not None
                ]
                opening = min(((at - now) / 1000 for at in openings), default=left)
                if await bell.wait(min(left, max(0.001, opening))) or not ledger.is_open:
                    return
        finally:
            del ledger.waiters[bell]

    async def begin(self, leases: Sequence[Lease]) -> None:
        """Note that jobs which were claimed ahead run now; see the port."""
        ledger = self._opened()
        for lease in leases:
            if (job := _held(ledger, lease)) is not None:
                job.has_started = True

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        """Let leases end `lease` seconds from now; see the port."""
        ledger = self._opened()
        until = ledger.boot_now() + round(lease * 1000)
        answers: list[LeaseStatus] = []
        for held in leases:
            if (job := _held(ledger, held)) is None:
                answers.append(LeaseStatus(held=False))
                continue
            job.lease_until = until
            ledger.leases.put(job, until)
            answers.append(LeaseStatus(held=True, cancelling=job.cancelling, pausing=job.pausing))
        return answers

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End runs; see the port."""
        ledger, now = self._opened(), self._ledger.clock.now()
        answers: list[bool] = []
        for settlement in settlements:
            job = _fitting(ledger, settlement.lease)
            if job is not None and job.status is Status.PROCESSING:
                _settle(ledger, job, settlement, now)
            answers.append(job is not None)
        finish(ledger, now)
        ledger.log.publish()
        return answers

    async def record(self, records: Sequence[Record]) -> list[bool]:
        """Store what runs report; see the port."""
        await checkpoint()
        ledger, now = self._opened(), self._ledger.clock.now()
        bodies = [[encode_envelope(child) for child in record.children] for record in records]
        held = [_held(ledger, record.lease) for record in records]
        ledger.check_room(
            child.id for job, record in zip(held, records, strict=True) if job for child in record.children
        )
        for job, record, children in zip(held, records, bodies, strict=True):
            if job is not None:
                _record(ledger, job, record, children, now)
        ledger.log.publish()
        return [job is not None for job in held]

    async def promote(self, limit: int) -> Promoted:
        """Expire what is too late, and make due jobs pending; see the port."""
        ledger, now = self._opened(), self._ledger.clock.now()
        late = ledger.expiring.due(now, limit)
        for job in late:
            expire_queued(ledger, job, now)
        due = ledger.due.due(now, limit)
        for job in due:
            ledger.move(job, Status.PENDING, now)
        finish(ledger, now)
        ledger.log.publish()
        head = ledger.due.first()
        return Promoted(len(late) + len(due), None if head is None else Instant(head[0]))

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        """Take over leases that ran out; see the port."""
        ledger, now = self._opened(), self._ledger.clock.now()
        boot_now = ledger.boot_now()
        claims: list[Claim] = []
        for job in ledger.leases.due(boot_now, limit):
            lost = job.worker
            ledger.tell(LeaseLost, job, now, lost)
            job.token += 1
            job.worker = worker
            job.lease_until = boot_now + round(lease * 1000)
            ledger.leases.put(job, job.lease_until)
            claims.append(_claim(job, job.kept_counters(), lost_worker=lost))
        ledger.log.publish()
        return claims


def _fitting(ledger: Ledger, lease: Lease) -> StoredJob | None:
    """The job, when the lease carries its newest token."""
    job = ledger.jobs.get(lease.job_id)
    return job if job and lease.token == job.token > 0 and lease.ref == job.place else None


def _held(ledger: Ledger, lease: Lease) -> StoredJob | None:
    job = _fitting(ledger, lease)
    return job if job and job.status is Status.PROCESSING else None


def _lease(ledger: Ledger, job: StoredJob, worker: str, until: int, now: Instant) -> Claim:
    job.token += 1
    job.started_at = now
    job.lease_until = until
    ledger.move(job, Status.PROCESSING, now)
    job.worker = worker
    ledger.tell(JobStarted, job, now, worker)
    return _claim(job, job.counters)


def _claim(job: StoredJob, counters: Counters, lost_worker: str | None = None) -> Claim:
    return Claim(
        envelope=decode_envelope(job.body),
        lease=Lease(job.id, job.envelope.queue, job.token, job.place),
        attempts=job.attempts,
        crashes=job.crashes,
        epoch=job.epoch,
        started_at=job.started_at or Instant(0),
        counters=counters,
        cursor=job.cursor,
        cancelling=job.cancelling,
        lost_worker=lost_worker,
        has_started=lost_worker is None or job.has_started,
        failed_trace=None if job.error is None else job.error.trace,
    )


def _settle(ledger: Ledger, job: StoredJob, settlement: Settlement, now: Instant) -> None:
    status = settlement.status
    job.attempts, job.crashes, job.error = settlement.attempts, settlement.crashes, settlement.error
    job.report(settlement.counters, settlement.message, settlement.cursor)
    if status not in FINAL and status is not Status.WAITING:
        job.counters = job.kept_counters()
    if settlement.due_at is not None:
        job.scheduled_at = settlement.due_at
    _keep_result(ledger, job, settlement)
    ledger.move(job, status, now)
    ledger.log.append(settlement.event)
    if settlement.faults:
        note_faults(job.parent or job, settlement.faults, now)
    if status in FINAL:
        after_end(ledger, job, now, resolved=settlement.resolved, is_settled=True)
    else:
        _carry_out_requests(ledger, job, now)


def _keep_result(ledger: Ledger, job: StoredJob, settlement: Settlement) -> None:
    job.result = settlement.result
    job.result_until = None if settlement.result is None else settlement.result_until
    if job.result_until is None:
        ledger.results.take(job)
    else:
        ledger.results.put(job, job.result_until)


def _carry_out_requests(ledger: Ledger, job: StoredJob, now: Instant) -> None:
    """Do what was asked of the run and not heeded by it."""
    was_cancelling, was_pausing = job.cancelling, job.pausing
    job.cancelling = job.pausing = False
    if was_cancelling:
        cancel_job(ledger, job, now)
    elif was_pausing:
        pause_job(ledger, job, now)
    end_if_done(ledger, job, now)


def _record(ledger: Ledger, job: StoredJob, record: Record, children: list[bytes], now: Instant) -> None:
    job.report(record.counters, record.message, record.cursor)
    added = 0
    for envelope, body in zip(record.children, children, strict=True):
        if envelope.id not in ledger.jobs:
            ledger.add(body, now, parent=job)
            added += envelope.total
    if added:
        sums = job.counters
        job.counters = Counters(sums.succeeded, sums.failed, sums.skipped, sums.total + added)
    if record.event is not None:
        ledger.log.append(record.event)
