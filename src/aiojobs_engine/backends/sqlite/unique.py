"""Unique jobs: which of a batch are kept out, and which stored ones take over what they bring."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.codes import CODES, STATUSES
from aiojobs_engine.backends.sqlite.enqueue import (
    Encoded,
    add_aside,
    encoded,
    enqueue,
    fair_share,
    first_of_each,
    first_status,
    put_in_line,
    storable,
    unique_key,
)
from aiojobs_engine.backends.sqlite.ledger import Ledger
from aiojobs_engine.backends.sqlite.lines import line_of
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobInterrupted
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.unique import REPLACEABLE, keeps_out, replaced
from aiojobs_engine.ports.backend import Enqueued


class _Holder(NamedTuple):
    """A job that holds a key; `seq` is 0 of one of the batch itself."""

    seq: int
    id: str
    lane: int
    code: int
    created_at: int


_holders = msgspec.json.Decoder(list[tuple[str, int, str, int, int, int]]).decode
_numbered = msgspec.json.Decoder(list[tuple[str, int]]).decode


def enqueue_unique(tx: Transaction, jobs: Sequence[Encoded]) -> list[Enqueued]:
    """Store a batch that holds unique jobs, deciding over them in its order."""
    asked = {envelope.id: key for envelope, _ in jobs if (key := unique_key(envelope)) is not None}
    known = dict(_numbered(tx.value("load_ids", ids=list(asked))))
    found = _holders(tx.value("holders", keys=list(dict.fromkeys(asked.values()))))
    holders = {key: _Holder(seq, job_id, lane, code, at) for key, seq, job_id, lane, code, at in found}
    chosen: dict[str, Envelope] = {}
    merged: set[str] = set()
    kept_out: dict[str, str] = {}
    for envelope, _ in first_of_each(jobs):
        key = asked.get(envelope.id)
        if key is None or envelope.id in known:
            chosen[envelope.id] = envelope
            continue
        holder = holders.get(key)
        if holder is not None and _is_kept_out(tx, envelope, holder):
            kept_out[envelope.id] = holder.id
            if _is_replacing(tx, envelope, holder, chosen):
                holders[key] = _replace(tx, holder, envelope, chosen)
                merged.add(holder.id)
            continue
        chosen[envelope.id] = envelope
        holders[key] = _Holder(0, envelope.id, 0, CODES[first_status(tx, envelope)], envelope.created_at)
    changed = {job_id: encoded([chosen[job_id]])[0] for job_id in merged if job_id in chosen}
    first = [changed.pop(job[0].id, job) for job in jobs] if changed else jobs
    return enqueue(tx, first, kept_out)


def _is_kept_out(tx: Transaction, envelope: Envelope, holder: _Holder) -> bool:
    rule = envelope.unique
    return rule is not None and keeps_out(rule, STATUSES[holder.code], Instant(holder.created_at), tx.now)


def _is_replacing(tx: Transaction, envelope: Envelope, holder: _Holder, chosen: dict[str, Envelope]) -> bool:
    if envelope.unique is None or not envelope.unique.replaces or STATUSES[holder.code] not in REPLACEABLE:
        return False
    held = tx.lane(holder.lane).type if holder.seq else chosen[holder.id].type
    return held == envelope.type


def _replace(tx: Transaction, holder: _Holder, envelope: Envelope, chosen: dict[str, Envelope]) -> _Holder:
    new = replaced(holder.id, Instant(holder.created_at), envelope)
    status = first_status(tx, new)
    if not holder.seq:
        chosen[holder.id] = new
        return holder._replace(code=CODES[status])
    ((_, body),) = encoded([new])
    lane = tx.lanes.number(tx, new)
    ledger = Ledger(tx)
    row = ledger.get(holder.seq)
    if row is not None:
        before, row.lane, row.user_id = row.status, lane, storable(new.user_id)
        row.due_at = new.created_at if new.scheduled_at is None else new.scheduled_at
        row.scheduled_at, row.expires_at = new.scheduled_at, new.expires_at
        ledger.move(row, status)
        if status is not before:
            ledger.emit(JobInterrupted, row)
        ledger.store()
    for name in ("delete_bodies", "delete_tags"):
        tx.run(name, seqs=[holder.seq])
    tx.run(
        "replace_body",
        seq=holder.seq,
        body=add_aside(tx, new, body, holder.seq),
        lane=lane,
        priority=new.priority,
        user_id=storable(new.user_id),
        cost=new.cost,
        line=line_of(new),
        share=fair_share(new),
    )
    if row is not None and row.line is not None:
        tx.run("touch_lines", lines=[row.line])
    put_in_line(tx, [new])
    return holder._replace(lane=lane, code=CODES[status])
