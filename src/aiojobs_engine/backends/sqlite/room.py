"""Bounded queues: what of a batch, or of the jobs before it, has to go."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.sqlite.bulk import after_end
from aiojobs_engine.backends.sqlite.flows import finish
from aiojobs_engine.backends.sqlite.ledger import Ledger
from aiojobs_engine.backends.sqlite.removal import remove
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.events import JobCreated, JobDiscarded
from aiojobs_engine.core.gates import SHED, Group, Limit
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo
from aiojobs_engine.ports.backend import Enqueued

_seqs = msgspec.json.Decoder(list[int]).decode


def make_room(tx: Transaction, envelopes: Sequence[Envelope], answers: list[Enqueued]) -> list[Enqueued]:
    """The answers to a batch stored just now, after bounded queues have let go of what is too many."""
    refused: set[str] = set()
    for queue in dict.fromkeys(envelope.queue for envelope in envelopes if not is_linked(envelope)):
        bound = tx.lanes.limits.get(Group(queue))
        if bound is not None and bound.max_pending is not None:
            refused |= _let_go(tx, bound, _new(envelopes, answers, queue))
    if not refused:
        return answers
    tx.events[:] = [
        event for event in tx.events if not (isinstance(event, JobCreated) and event.job_id in refused)
    ]
    return [
        Enqueued(answer.job_id, created=False, refused=True) if answer.job_id in refused else answer
        for answer in answers
    ]


def _new(envelopes: Sequence[Envelope], answers: Sequence[Enqueued], queue: str) -> list[str]:
    return [
        envelope.id
        for envelope, answer in zip(envelopes, answers, strict=True)
        if answer.created and envelope.queue == queue and not is_linked(envelope)
    ]


def _let_go(tx: Transaction, bound: Limit, new: Sequence[str]) -> set[str]:
    """Carry out the overflow of a queue; the ids of the jobs that were refused."""
    lanes = [number for number, lane in tx.lanes.all() if lane.queue == bound.queue]
    most = (bound.max_pending or 0) + len(new)
    excess = int(tx.value("count_pending", lanes=lanes, most=most)) - (bound.max_pending or 0)
    if excess <= 0 or not new:
        return set()
    ledger = Ledger(tx)
    due = [row for row in ledger.by_id(new).values() if row.status is Status.PENDING]
    last = sorted(due, key=lambda row: row.seq)[-excess:]
    if bound.overflow in ("refuse", "wait"):
        remove(tx, [row.seq for row in last])
        return {row.id for row in last}
    seqs = [row.seq for row in last]
    if bound.overflow == "drop_oldest":
        seqs = _seqs(tx.value("oldest_pending", lanes=lanes, limit=excess))
    ledger.load(seqs)
    for seq in seqs:
        row = ledger.get(seq)
        if row is not None:
            ledger.set_error(row, ErrorInfo(SHED, f"queue {bound.queue!r} was full", reason=SHED))
            ledger.move(row, Status.DISCARDED)
            ledger.emit(JobDiscarded, row, SHED)
            after_end(ledger, row)
    finish(ledger)
    return set()
