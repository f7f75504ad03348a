"""What the end of a job does to its parent, to its chunks or members, and to those that wait for it."""

from collections.abc import Sequence

from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.records import StoredJob, resolve_rows
from aiojobs_engine.core.events import JobCancelled, JobCompleted, JobExpired, JobFailed, JobProgressed
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import NO_MEMBER_SUCCEEDED, unmet, verdict
from aiojobs_engine.core.state import FINAL, QUEUED, Status, parent_status
from aiojobs_engine.core.status import Counters, ErrorInfo

_PROGRESS_EVERY_MS = 250
_ROWS_FAILED = ErrorInfo(type="rows", message="no row succeeded", reason="rows")


def cancel_queued(ledger: Ledger, job: StoredJob, now: Instant) -> None:
    """End a queued job as cancelled."""
    ledger.move(job, Status.CANCELLED, now)
    ledger.tell(JobCancelled, job, now)
    after_end(ledger, job, now)


def expire_queued(ledger: Ledger, job: StoredJob, now: Instant) -> None:
    """End a queued job that was not started in time."""
    ledger.move(job, Status.EXPIRED, now)
    ledger.tell(JobExpired, job, now)
    after_end(ledger, job, now)


def cancel_waiting(ledger: Ledger, parent: StoredJob, now: Instant) -> None:
    """Cancel a job that waits: at once, or with the last of its chunks or members."""
    parent.cancelling = True
    _cancel_chunks(ledger, parent, now)
    end_if_done(ledger, parent, now)


def after_end(
    ledger: Ledger,
    job: StoredJob,
    now: Instant,
    *,
    resolved: Sequence[int] | None = None,
    is_settled: bool = False,
) -> None:
    """Close a job that ended at its parent, and take its own open chunks along; `finish` does the rest."""
    job.cancelling = job.pausing = False
    job.open_needs = 0
    if job.dependents:
        ledger.looked_at.append(job)
    if job.parent is not None:
        _close(ledger, job, job.parent, now, resolved)
        if is_settled:
            _tell_progress(ledger, job.parent, now)
    if job.family is not None and job.family.open:
        _cancel_chunks(ledger, job, now)


def end_if_done(ledger: Ledger, parent: StoredJob, now: Instant) -> None:
    """End a parent that waits for no chunk or member any more."""
    if parent.status is not Status.WAITING or (parent.family is not None and parent.family.open):
        return
    if parent.open_needs and not parent.cancelling:
        return
    status = parent_status(parent.counters.succeeded, parent.counters.failed)
    if parent.cancelling:
        ledger.move(parent, Status.CANCELLED, now)
        ledger.tell(JobCancelled, parent, now)
    elif parent.gathers:
        ledger.move(parent, Status.PENDING, now)
        return
    elif status is Status.FAILED:
        parent.error = error = NO_MEMBER_SUCCEEDED if parent.is_batch else _ROWS_FAILED
        ledger.move(parent, status, now)
        ledger.tell(JobFailed, parent, now, error.message, error.reason)
    else:
        ledger.move(parent, status, now)
        ledger.tell(JobCompleted, parent, now)
    after_end(ledger, parent, now)


def _cancel_chunks(ledger: Ledger, parent: StoredJob, now: Instant) -> None:
    for chunk in parent.family.chunks.values() if parent.family else ():
        if chunk.status in QUEUED:
            cancel_queued(ledger, chunk, now)
        elif chunk.status is Status.PROCESSING:
            chunk.cancelling = True
        elif chunk.status is Status.WAITING and not chunk.cancelling:
            cancel_waiting(ledger, chunk, now)


def finish(ledger: Ledger, now: Instant) -> None:
    """Look at what others wait for, until nothing follows; the last thing of every call that ends jobs."""
    while ledger.looked_at:
        former = ledger.looked_at.pop()
        dependents, former.dependents = former.dependents, []
        for dependent, need in dependents:
            is_met = verdict(need.when, former.status, failed_members=failed_members(former))
            if is_met is None:
                former.dependents.append((dependent, need))
            elif is_met:
                meet(ledger, dependent, now)
            else:
                give_up(ledger, dependent, unmet(former.id, former.status), now)
                former.lost.append((dependent, dependent.epoch))


def meet(ledger: Ledger, job: StoredJob, now: Instant) -> None:
    """One need of a job is met; with the last one it can be claimed, now or when it is due."""
    if not job.open_needs:
        return
    job.open_needs -= 1
    if job.open_needs == 0:
        is_due = job.scheduled_at is None or job.scheduled_at <= now
        job.scheduled_at = now if is_due else job.scheduled_at
        ledger.move(job, Status.PENDING if is_due else Status.SCHEDULED, now)


def give_up(ledger: Ledger, job: StoredJob, why: ErrorInfo, now: Instant) -> None:
    """Cancel a job of which a need can't be met any more."""
    if job.open_needs:
        job.error = why
        cancel_waiting(ledger, job, now)


def abandon(ledger: Ledger, job: StoredJob, now: Instant) -> None:
    """Cancel what waits for a job that is removed, or for its members."""
    dependents, job.dependents = job.dependents, []
    for dependent, _ in dependents:
        give_up(ledger, dependent, unmet(job.id, None), now)
    for member in list(job.family.chunks.values()) if job.family else ():
        abandon(ledger, member, now)


def failed_members(job: StoredJob) -> int:
    """How many members of a batch have failed; 0 of other jobs."""
    return job.counters.failed if job.is_batch else 0


def _close(
    ledger: Ledger, chunk: StoredJob, parent: StoredJob, now: Instant, resolved: Sequence[int] | None
) -> None:
    parent.own_family().open -= 1
    sums, own = parent.counters, chunk.counters
    if parent.is_batch:
        good = int(chunk.status is Status.COMPLETED)
        parent.counters = Counters(sums.succeeded + good, sums.failed + 1 - good, 0, sums.total)
        if not good and not sums.failed and parent.dependents:
            ledger.looked_at.append(parent)
    elif resolved is not None or chunk.reopened:
        mended = resolve_rows(parent, resolved or (), now)
        parent.counters = Counters(sums.succeeded + mended, sums.failed - mended, sums.skipped, sums.total)
    else:
        parent.counters = Counters(
            sums.succeeded + own.succeeded,
            sums.failed + own.failed,
            sums.skipped + own.skipped,
            max(sums.total, sums.processed + own.processed),
        )
    end_if_done(ledger, parent, now)


def _tell_progress(ledger: Ledger, parent: StoredJob, now: Instant) -> None:
    family = parent.own_family()
    last = family.progressed_at
    if parent.status in FINAL or (last is not None and 0 <= now - last < _PROGRESS_EVERY_MS):
        return
    family.progressed_at = now
    ledger.tell(JobProgressed, parent, now, parent.message)
