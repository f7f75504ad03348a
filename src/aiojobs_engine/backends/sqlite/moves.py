"""What people and programs ask of one job, carried out on the ledger."""

from aiojobs_engine.backends.sqlite.bulk import cancel_queued, cancel_waiting
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobInterrupted, JobRetrying
from aiojobs_engine.core.state import QUEUED, TRANSITIONS, Status, Trigger
from aiojobs_engine.core.status import Counters


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
    """Let a paused job be claimed again, or a running one go on; whether there was a pause."""
    if row.status is Status.PROCESSING and row.pausing:
        row.pausing = 0
        ledger.changed(row)
        return True
    if (row.status, Trigger.RESUME) not in TRANSITIONS:
        return False
    ledger.move(row, Status.PENDING)
    ledger.emit(JobInterrupted, row)
    return True


def retry(ledger: Ledger, row: JobRow, envelope: Envelope) -> None:
    """Start a final job anew, in a new epoch; its chunks and failures are gone already."""
    now = ledger.tx.now
    row.attempts = row.crashes = row.chunks = row.open_chunks = 0
    row.progress_at = row.message = row.started_at = row.expires_at = None
    row.count(Counters(total=envelope.total))
    row.due_at = row.scheduled_at = now
    row.epoch += 1
    ledger.set_error(row, None)
    ledger.set_result(row, None, None)
    ledger.set_cursor(row, b"")
    ledger.move(row, Status.PENDING)
    ledger.emit(JobRetrying, row, "", now)
