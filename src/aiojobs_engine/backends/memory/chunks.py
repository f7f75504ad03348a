"""What the end of a job does to its kin: to the parent of a chunk, and to the chunks of a parent."""

from collections.abc import Sequence

from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.records import StoredJob, resolve_rows
from aiojobs_engine.core.events import JobCancelled, JobCompleted, JobExpired, JobFailed, JobProgressed
from aiojobs_engine.core.instant import Instant
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
    """Cancel a parent that waits: it ends with the last of its chunks, which may be at once."""
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
    """Close a job that ended at its parent, and take its own open chunks along."""
    job.cancelling = job.pausing = False
    if job.parent is not None:
        _close(ledger, job, job.parent, now, resolved)
        if is_settled:
            _tell_progress(ledger, job.parent, now)
    if job.family is not None and job.family.open:
        _cancel_chunks(ledger, job, now)


def end_if_done(ledger: Ledger, parent: StoredJob, now: Instant) -> None:
    """End a parent that waits for no chunk any more."""
    if parent.status is not Status.WAITING or (parent.family is not None and parent.family.open):
        return
    status = parent_status(parent.counters.succeeded, parent.counters.failed)
    if parent.cancelling:
        ledger.move(parent, Status.CANCELLED, now)
        ledger.tell(JobCancelled, parent, now)
    elif status is Status.FAILED:
        parent.error = _ROWS_FAILED
        ledger.move(parent, status, now)
        ledger.tell(JobFailed, parent, now, _ROWS_FAILED.message, _ROWS_FAILED.reason)
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


def _close(
    ledger: Ledger, chunk: StoredJob, parent: StoredJob, now: Instant, resolved: Sequence[int] | None
) -> None:
    parent.own_family().open -= 1
    sums, own = parent.counters, chunk.counters
    if resolved is not None or chunk.reopened:
        mended = resolve_rows(parent, resolved or (), now)
        parent.counters = Counters(sums.succeeded + mended, sums.failed - mended, sums.skipped, sums.total)
    else:
        parent.counters = Counters(
            sums.succeeded + own.succeeded,
            sums.failed + own.failed,
            sums.skipped + own.skipped,
            sums.total,
        )
    end_if_done(ledger, parent, now)


def _tell_progress(ledger: Ledger, parent: StoredJob, now: Instant) -> None:
    family = parent.own_family()
    last = family.progressed_at
    if parent.status in FINAL or (last is not None and 0 <= now - last < _PROGRESS_EVERY_MS):
        return
    family.progressed_at = now
    ledger.tell(JobProgressed, parent, now, parent.message)
