"""What time does to jobs: those that are due become claimable, those past their time end."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.sqlite.bulk import expire_queued
from aiojobs_engine.backends.sqlite.ledger import Ledger
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.ports.backend import Promoted

_seqs = msgspec.json.Decoder(list[int]).decode


def promote(tx: Transaction, limit: int) -> Promoted:
    """Expire what is too late, and make due jobs pending."""
    late = _seqs(tx.value("late", now=tx.now, limit=limit))
    if late:
        expire_jobs(tx, late)
    promoted = tx.run("promote", now=tx.now, limit=limit)
    tx.woke |= promoted > 0
    return Promoted(len(late) + promoted, tx.value("next_due"))


def expire_jobs(tx: Transaction, seqs: Sequence[int]) -> None:
    """End queued jobs that are past their time."""
    ledger = Ledger(tx)
    ledger.load(seqs)
    for seq in seqs:
        row = ledger.get(seq)
        if row is not None:
            expire_queued(ledger, row)
    ledger.store()
