"""Plain ends of runs, many in one statement: no bulk job, no chunk, no checkpoint, no failed rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiojobs_engine.backends.sqlite.blobs import Blobs
from aiojobs_engine.backends.sqlite.codes import CODES
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import ErrorInfo
from aiojobs_engine.ports.backend import Settlement

_LATER = frozenset({Status.PENDING, Status.RETRYING, Status.SCHEDULED})
_GROUPS = 4
_Alike = tuple[Status, int, int, int]

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Parts:
    """A batch by the statement that settles it.

    Attributes:
        alike: numbers of jobs that end with nothing of their own to say, by what they say.
        ended: those that end with a result, an error, a message or counters.
        later: those that go back to the queue.
    """

    alike: dict[_Alike, list[int]] = field(default_factory=dict[_Alike, list[int]])
    ended: list[Settlement] = field(default_factory=list[Settlement])
    later: list[Settlement] = field(default_factory=list[Settlement])


def is_plain(settlement: Settlement) -> bool:
    """Whether the statements here may do it, as far as the settlement itself tells."""
    if settlement.parent_id is not None or settlement.cursor is not None or settlement.faults:
        return False
    if settlement.status in FINAL:
        return settlement.due_at is None
    return settlement.status in _LATER and settlement.result is None


def settle_plain(tx: Transaction, settlements: Sequence[Settlement]) -> bool:
    """Settle all, or, when one lease is stale or one job is not plain, change nothing and answer False."""
    parts = _parted(settlements)
    tx.savepoint()
    settled = sum(_settle_alike(tx, said, seqs) for said, seqs in parts.alike.items())
    if parts.ended:
        blobs = Blobs()
        rows = [_ended_row(settlement, blobs) for settlement in parts.ended]
        settled += tx.run("settle", rows=rows, results=blobs.joined(), now=tx.now)
    if parts.later:
        settled += tx.run("settle_later", rows=[_later_row(each) for each in parts.later], now=tx.now)
    if settled != len(settlements):
        tx.back()
        return False
    tx.events += [settlement.event for settlement in settlements]
    tx.woke |= any(settlement.status is Status.PENDING for settlement in parts.later)
    return True


def _parted(settlements: Sequence[Settlement]) -> _Parts:
    parts = _Parts()
    for each in settlements:
        if each.status in _LATER:
            parts.later.append(each)
        elif each.result is None and each.error is None and each.message is None and each.counters is None:
            said = (each.status, each.lease.token, each.attempts, each.crashes)
            parts.alike.setdefault(said, []).append(each.lease.ref)
        else:
            parts.ended.append(each)
    if len(parts.alike) > _GROUPS:
        parts.alike = {}
        parts.ended = [each for each in settlements if each.status not in _LATER]
    return parts


def _settle_alike(tx: Transaction, said: _Alike, seqs: list[int]) -> int:
    status, token, attempts, crashes = said
    return tx.run(
        "settle_alike",
        seqs=seqs,
        status=CODES[status],
        token=token,
        attempts=attempts,
        crashes=crashes,
        now=tx.now,
    )


def _ended_row(settlement: Settlement, blobs: Blobs) -> list[Any]:
    counters, error, message = settlement.counters, settlement.error, settlement.message
    row: list[Any] = [
        settlement.lease.ref,
        settlement.lease.token,
        CODES[settlement.status],
        settlement.attempts,
        settlement.crashes,
        None if settlement.result is None else settlement.result_until,
        *blobs.add(settlement.result),
    ]
    if not (counters is None and error is None and message is None):
        counts: tuple[int | None, ...] = (None,) * 4
        if counters is not None:
            counts = (counters.succeeded, counters.failed, counters.skipped, counters.total)
        row.append([_text(error), message, *counts])
    return row


def _later_row(settlement: Settlement) -> tuple[Any, ...]:
    return (
        settlement.lease.ref,
        settlement.lease.token,
        CODES[settlement.status],
        settlement.attempts,
        settlement.crashes,
        settlement.due_at,
        _text(settlement.error),
        settlement.message,
        None if settlement.counters is None else settlement.counters.total,
    )


def _text(error: ErrorInfo | None) -> str | None:
    return None if error is None else _encode(error).decode()
