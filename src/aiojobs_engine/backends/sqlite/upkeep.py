"""What time does to jobs: those that are due become claimable, those past their time end."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.sqlite.bulk import after_end, expire_queued
from aiojobs_engine.backends.sqlite.fairness import give_due_turns
from aiojobs_engine.backends.sqlite.flows import finish
from aiojobs_engine.backends.sqlite.ledger import Ledger
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.events import JobFailed
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo
from aiojobs_engine.ports.backend import Promoted

_seqs = msgspec.json.Decoder(list[int]).decode


def promote(tx: Transaction, limit: int) -> Promoted:
    """Expire what is too late, and make due jobs pending."""
    late = _seqs(tx.value("late", now=tx.now, limit=limit))
    if late:
        expire_jobs(tx, late)
    promoted = tx.run("promote", now=tx.now, limit=limit)
    if promoted:
        tx.woke = tx.lined = True
        give_due_turns(tx)
    return Promoted(len(late) + promoted, tx.value("next_due"))


def fail_damaged(tx: Transaction, seq: int, detail: str) -> None:
    """End a job whose body can't be read; nobody could run it."""
    ledger = Ledger(tx)
    row = ledger.get(seq)
    if row is None:
        return
    error = ErrorInfo(
        type="payload", message=f"the stored envelope can't be read: {detail}", reason="payload"
    )
    ledger.set_error(row, error)
    ledger.move(row, Status.FAILED)
    ledger.emit(JobFailed, row, error.message, "payload")
    after_end(ledger, row)
    finish(ledger)


def expire_jobs(tx: Transaction, seqs: Sequence[int]) -> None:
    """End queued jobs that are past their time."""
    ledger = Ledger(tx)
    ledger.load(seqs)
    for seq in seqs:
        row = ledger.get(seq)
        if row is not None:
            expire_queued(ledger, row)
    finish(ledger)
