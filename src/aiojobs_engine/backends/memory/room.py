"""Bounded queues of the memory store."""

from collections.abc import Sequence

from aiojobs_engine.backends.memory.chunks import after_end
from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.events import JobDiscarded
from aiojobs_engine.core.gates import SHED, Group, Limit
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo


def refuses(ledger: Ledger, envelope: Envelope, now: Instant) -> bool:
    """Whether a new job finds no room in its queue and is not to be stored."""
    bound = _bound(ledger, envelope.queue)
    if bound is None or bound.overflow not in ("refuse", "wait"):
        return False
    is_due = envelope.scheduled_at is None or envelope.scheduled_at <= now
    return is_due and _excess(ledger, bound) >= 0


def shed(ledger: Ledger, new: Sequence[str], now: Instant) -> None:
    """Discard what is too many after these jobs were stored."""
    jobs = [ledger.jobs[job_id] for job_id in new]
    for queue in dict.fromkeys(job.envelope.queue for job in jobs if not is_linked(job.envelope)):
        bound = _bound(ledger, queue)
        excess = 0 if bound is None else _excess(ledger, bound)
        if bound is None or excess <= 0 or bound.overflow in ("refuse", "wait"):
            continue
        ours = [job for job in jobs if job.envelope.queue == queue and _may_go(job)]
        if bound.overflow == "drop_newest":
            chosen = ours[-excess:]
        else:
            there = [job for job in ledger.jobs.values() if job.envelope.queue == queue and _may_go(job)]
            chosen = sorted(there, key=lambda job: (job.envelope.priority, job.place))[:excess]
        for job in chosen:
            job.error = ErrorInfo(SHED, f"queue {queue!r} was full", reason=SHED)
            ledger.move(job, Status.DISCARDED, now)
            ledger.tell(JobDiscarded, job, now, SHED)
            after_end(ledger, job, now)


def _bound(ledger: Ledger, queue: str) -> Limit | None:
    limit = ledger.flow.limits.get(Group(queue))
    return None if limit is None or limit.max_pending is None else limit


def _excess(ledger: Ledger, bound: Limit) -> int:
    return ledger.tally[bound.queue, Status.PENDING] - (bound.max_pending or 0)


def _may_go(job: StoredJob) -> bool:
    return job.status is Status.PENDING and job.parent is None
