"""Bulk jobs and their chunks: how a chunk that ends moves its parent."""

from aiojobs_engine.backends.sqlite.failures import resolve_failures
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.core.events import JobCancelled, JobCompleted, JobFailed, JobProgressed
from aiojobs_engine.core.state import Status, parent_status
from aiojobs_engine.core.status import ErrorInfo

_PROGRESS_MS = 250
_NO_ROWS = ErrorInfo(type="rows", message="no row succeeded", reason="rows")


def bring(ledger: Ledger, chunk: JobRow, resolved: tuple[int, ...] | None, *, tell: bool) -> None:
    """Close a chunk that ended at its parent, and end the parent that waited for it alone.

    What the chunk counted is added, or the rows that it `resolved` move from failed to succeeded. With `tell`
    the parent's progress is told, if the last time is long enough ago.
    """
    parent = ledger.get(chunk.parent)
    if parent is None:
        return
    if resolved is not None:
        moved = resolve_failures(ledger.tx, parent.seq, resolved)
        parent.succeeded, parent.failed = parent.succeeded + moved, parent.failed - moved
    elif not chunk.reopened or tell:
        parent.succeeded += chunk.succeeded
        parent.failed += chunk.failed
        parent.skipped += chunk.skipped
        parent.total = max(parent.total, parent.succeeded + parent.failed)
    parent.open_chunks -= 1
    ledger.changed(parent)
    if parent.status is Status.WAITING and not parent.open_chunks:
        end_parent(ledger, parent)
    elif tell and not parent.is_final and ledger.tx.now - (parent.progress_at or 0) >= _PROGRESS_MS:
        parent.progress_at = ledger.tx.now
        ledger.emit(JobProgressed, parent, parent.message)


def end_parent(ledger: Ledger, parent: JobRow) -> None:
    """End a bulk job whose chunks have all ended."""
    if parent.cancelling:
        ledger.move(parent, Status.CANCELLED)
        ledger.emit(JobCancelled, parent)
        return
    ledger.move(parent, parent_status(parent.succeeded, parent.failed))
    if parent.status is Status.FAILED:
        ledger.set_error(parent, _NO_ROWS)
        ledger.emit(JobFailed, parent, _NO_ROWS.message, _NO_ROWS.reason)
    else:
        ledger.emit(JobCompleted, parent)


def cancel_chunks(ledger: Ledger, parent: JobRow) -> None:
    """Cancel the queued chunks of a bulk job and flag the running ones; the parent is not ended by it."""
    for chunk in ledger.open_chunks(parent):
        if chunk.status is Status.PROCESSING:
            chunk.cancelling = 1
            ledger.changed(chunk)
            continue
        ledger.move(chunk, Status.CANCELLED)
        ledger.emit(JobCancelled, chunk)
        parent.open_chunks -= 1
        if not chunk.reopened:
            parent.succeeded += chunk.succeeded
            parent.failed += chunk.failed
            parent.skipped += chunk.skipped
            parent.total = max(parent.total, parent.succeeded + parent.failed)
    ledger.changed(parent)
