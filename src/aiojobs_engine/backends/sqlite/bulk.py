"""What the end of a job does to its kin: to its parent, and to its chunks or members."""

from collections.abc import Sequence

from aiojobs_engine.backends.sqlite.failures import resolve_failures
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.core.events import JobCancelled, JobCompleted, JobExpired, JobFailed, JobProgressed
from aiojobs_engine.core.needs import NO_MEMBER_SUCCEEDED
from aiojobs_engine.core.state import QUEUED, Status, parent_status
from aiojobs_engine.core.status import ErrorInfo

_PROGRESS_MS = 250
_NO_ROWS = ErrorInfo(type="rows", message="no row succeeded", reason="rows")


def cancel_queued(ledger: Ledger, row: JobRow) -> None:
    """End a queued job as cancelled."""
    ledger.move(row, Status.CANCELLED)
    ledger.emit(JobCancelled, row)
    after_end(ledger, row)


def expire_queued(ledger: Ledger, row: JobRow) -> None:
    """End a queued job that was not started in time."""
    ledger.move(row, Status.EXPIRED)
    ledger.emit(JobExpired, row)
    after_end(ledger, row)


def cancel_waiting(ledger: Ledger, parent: JobRow) -> None:
    """Cancel a job that waits: at once, or with the last of its chunks or members."""
    parent.cancelling = 1
    ledger.changed(parent)
    _cancel_chunks(ledger, parent)
    end_if_done(ledger, parent)


def after_end(
    ledger: Ledger, row: JobRow, *, resolved: Sequence[int] | None = None, is_settled: bool = False
) -> None:
    """Close a job that ended at its parent, and take its own open chunks along; `finish` does the rest."""
    row.cancelling = row.pausing = row.needs = 0
    if row.needed:
        ledger.looked_at.append(row)
    ledger.changed(row)
    parent = ledger.get(row.parent)
    if parent is not None:
        _close(ledger, row, parent, resolved)
        if is_settled:
            _tell_progress(ledger, parent)
    if row.open_chunks:
        _cancel_chunks(ledger, row)


def end_if_done(ledger: Ledger, parent: JobRow) -> None:
    """End a parent that waits for no chunk or member any more."""
    if parent.status is not Status.WAITING or parent.open_chunks:
        return
    if parent.needs and not parent.cancelling:
        return
    status = parent_status(parent.succeeded, parent.failed)
    if parent.cancelling:
        ledger.move(parent, Status.CANCELLED)
        ledger.emit(JobCancelled, parent)
    elif ledger.gathers(parent):
        parent.due_at = ledger.tx.now
        ledger.move(parent, Status.PENDING)
        return
    elif status is Status.FAILED:
        error = NO_MEMBER_SUCCEEDED if ledger.is_batch(parent) else _NO_ROWS
        ledger.set_error(parent, error)
        ledger.move(parent, status)
        ledger.emit(JobFailed, parent, error.message, error.reason)
    else:
        ledger.move(parent, status)
        ledger.emit(JobCompleted, parent)
    after_end(ledger, parent)


def _cancel_chunks(ledger: Ledger, parent: JobRow) -> None:
    for chunk in ledger.open_chunks(parent):
        if chunk.status in QUEUED:
            cancel_queued(ledger, chunk)
        elif chunk.status is Status.PROCESSING:
            chunk.cancelling = 1
            ledger.changed(chunk)
        elif chunk.status is Status.WAITING and not chunk.cancelling:
            cancel_waiting(ledger, chunk)


def _close(ledger: Ledger, chunk: JobRow, parent: JobRow, resolved: Sequence[int] | None) -> None:
    parent.open_chunks -= 1
    ledger.changed(parent)
    if ledger.is_batch(parent):
        _count_member(ledger, chunk, parent)
    elif resolved is not None or chunk.reopened:
        mended = resolve_failures(ledger.tx, parent.seq, resolved or ())
        parent.succeeded += mended
        parent.failed -= mended
    else:
        parent.succeeded += chunk.succeeded
        parent.failed += chunk.failed
        parent.skipped += chunk.skipped
        parent.total = max(parent.total, parent.succeeded + parent.failed)
    end_if_done(ledger, parent)


def _count_member(ledger: Ledger, member: JobRow, batch: JobRow) -> None:
    if member.status is Status.COMPLETED:
        batch.succeeded += 1
        return
    batch.failed += 1
    if batch.failed == 1 and batch.needed:
        ledger.looked_at.append(batch)


def _tell_progress(ledger: Ledger, parent: JobRow) -> None:
    now, last = ledger.tx.now, parent.progress_at
    if parent.is_final or (last is not None and 0 <= now - last < _PROGRESS_MS):
        return
    parent.progress_at = now
    ledger.emit(JobProgressed, parent, parent.message)
