"""What runs report and how they end: plain ends in one statement, all else by the ledger."""

from collections.abc import Sequence

from aiojobs_engine.backends.sqlite.bulk import after_end, end_if_done
from aiojobs_engine.backends.sqlite.enqueue import Encoded, add_chunks
from aiojobs_engine.backends.sqlite.failures import add_failures
from aiojobs_engine.backends.sqlite.flows import finish
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.backends.sqlite.moves import cancel, pause
from aiojobs_engine.backends.sqlite.plain import is_plain, settle_plain
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Lease, Record, Settlement

_QUEUED_LATER = frozenset({Status.SCHEDULED, Status.RETRYING})


def settle(tx: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    """End runs; plain ones together, and whatever that leaves open one by one."""
    tx.woke |= bool(tx.lanes.limits)
    if all(map(is_plain, settlements)) and settle_plain(tx, settlements):
        return [True] * len(settlements)
    return _settle_each(tx, settlements)


def record(tx: Transaction, records: Sequence[Record], children: Sequence[Sequence[Encoded]]) -> list[bool]:
    """Store what runs report; `children` are the chunks of each record, encoded."""
    ledger = Ledger(tx)
    ledger.load(each.lease.ref for each in records)
    answers: list[bool] = []
    for each, chunks in zip(records, children, strict=True):
        row = _fitting(ledger, each.lease)
        is_held = row is not None and row.status is Status.PROCESSING
        answers.append(is_held)
        if row is None or not is_held:
            continue
        report(ledger, row, each.counters, each.message, each.cursor)
        if chunks:
            row.total += add_chunks(ledger, row, chunks)
        if each.event is not None:
            tx.events.append(each.event)
    ledger.store()
    return answers


def report(
    ledger: Ledger, row: JobRow, counters: Counters | None, message: str | None, cursor: bytes | None
) -> None:
    """Take in what a run says of itself."""
    ledger.changed(row)
    if counters is not None and not row.chunks:
        row.count(counters)
    if message is not None:
        row.message = message
    if cursor is not None:
        ledger.set_cursor(row, cursor)


def _fitting(ledger: Ledger, lease: Lease) -> JobRow | None:
    """The job, when the lease carries its newest token."""
    row = ledger.get(lease.ref)
    return row if row is not None and row.id == lease.job_id and row.token == lease.token > 0 else None


def _settle_each(tx: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    ledger = Ledger(tx)
    ledger.load(settlement.lease.ref for settlement in settlements)
    answers: list[bool] = []
    for settlement in settlements:
        row = _fitting(ledger, settlement.lease)
        if row is not None and row.status is Status.PROCESSING:
            _settle_one(ledger, row, settlement)
        answers.append(row is not None)
    finish(ledger)
    return answers


def _settle_one(ledger: Ledger, row: JobRow, settlement: Settlement) -> None:
    _take_over(ledger, row, settlement)
    ledger.tx.events.append(settlement.event)
    if settlement.faults:
        add_failures(ledger.tx, row.seq if row.parent is None else row.parent, settlement.faults)
    if row.is_final:
        after_end(ledger, row, resolved=settlement.resolved, is_settled=True)
    else:
        _carry_out_requests(ledger, row)


def _take_over(ledger: Ledger, row: JobRow, settlement: Settlement) -> None:
    """Make the row what the settlement says."""
    row.attempts, row.crashes = settlement.attempts, settlement.crashes
    report(ledger, row, settlement.counters, settlement.message, settlement.cursor)
    ledger.set_error(row, settlement.error)
    ledger.set_result(row, settlement.result, settlement.result_until)
    if settlement.due_at is not None:
        row.due_at = row.scheduled_at = settlement.due_at
    elif settlement.status in _QUEUED_LATER:
        row.due_at = ledger.tx.now if row.scheduled_at is None else row.scheduled_at
    ledger.move(row, settlement.status)
    if not row.is_final and row.status is not Status.WAITING:
        row.reset_counters()


def _carry_out_requests(ledger: Ledger, row: JobRow) -> None:
    """Do what was asked of the run and not heeded by it."""
    was_cancelling, was_pausing = row.cancelling, row.pausing
    row.cancelling = row.pausing = 0
    if was_cancelling:
        cancel(ledger, row)
    elif was_pausing:
        pause(ledger, row)
    end_if_done(ledger, row)
