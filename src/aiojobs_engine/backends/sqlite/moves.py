"""What people and programs ask of one job, carried out on the ledger."""

from aiojobs_engine.backends.sqlite.bulk import cancel_queued, cancel_waiting
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.core.events import JobInterrupted
from aiojobs_engine.core.state import QUEUED, TRANSITIONS, Status, Trigger


def cancel(ledger: Ledger, row: JobRow) -> bool:
    """Cancel a job as its status allows; whether it takes effect, now or later."""
    if row.status in QUEUED:
        cancel_queued(ledger, row)
    elif row.status is Status.WAITING:
        cancel_waiting(ledger, row)
    elif row.status is Status.PROCESSING:
        row.cancelling = 1
        ledger.changed(row)
    else:
        return False
    return True


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
