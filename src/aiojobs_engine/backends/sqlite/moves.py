"""What people and programs ask of one job at a time, on the ledger."""

from aiojobs_engine.backends.sqlite.bulk import bring, cancel_chunks, end_parent
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.core.events import JobCancelled, JobExpired, JobInterrupted
from aiojobs_engine.core.state import QUEUED, TRANSITIONS, Status, Trigger


def cancel(ledger: Ledger, row: JobRow) -> bool:
    """Cancel a queued job, flag a running one, end a waiting one with its chunks; whether it takes effect."""
    if row.status in QUEUED:
        ledger.move(row, Status.CANCELLED)
        ledger.emit(JobCancelled, row)
        return True
    if row.status is Status.PROCESSING:
        row.cancelling = 1
        ledger.changed(row)
        return True
    if row.status is Status.WAITING:
        row.cancelling = 1
        ledger.changed(row)
        cancel_chunks(ledger, row)
        if not row.open_chunks:
            end_parent(ledger, row)
        return True
    return row.status is Status.CANCELLED


def pause(ledger: Ledger, row: JobRow) -> bool:
    """Park a queued job, flag a running one; whether the table allows it."""
    if (row.status, Trigger.PAUSE) not in TRANSITIONS:
        return False
    if row.status is Status.PROCESSING:
        row.pausing = 1
        ledger.changed(row)
    else:
        ledger.move(row, Status.PAUSED)
        ledger.emit(JobInterrupted, row)
    return True


def resume(ledger: Ledger, row: JobRow) -> bool:
    """Let a paused job be claimed again; whether the table allows it."""
    if (row.status, Trigger.RESUME) not in TRANSITIONS:
        return False
    ledger.move(row, Status.PENDING)
    ledger.emit(JobInterrupted, row)
    return True


def expire(ledger: Ledger, row: JobRow) -> None:
    """End a queued job that is past its time."""
    ledger.move(row, Status.EXPIRED)
    ledger.emit(JobExpired, row)
    if row.parent is not None:
        bring(ledger, row, None, tell=False)
