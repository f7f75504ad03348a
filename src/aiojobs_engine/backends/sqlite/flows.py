"""Jobs that wait for others: what the end of one does to them, and what becomes of those that are removed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.bulk import cancel_waiting
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.backends.sqlite.removal import chunks_of
from aiojobs_engine.core.needs import When, unmet, verdict
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo


class Waiting(NamedTuple):
    """A row of `sql/needs_of.sql`: `dependent` waits for an end of `job`."""

    need: int
    job: int
    dependent: int
    when: When


_waiting = msgspec.json.Decoder(list[Waiting]).decode


def finish(ledger: Ledger) -> None:
    """Look at what others wait for until nothing follows, and write; the last thing of what ends jobs."""
    while ledger.looked_at:
        formers = {row.seq: row for row in ledger.looked_at}
        ledger.looked_at.clear()
        _answer(ledger, formers)
    ledger.store()


def abandon(ledger: Ledger, seqs: Sequence[int]) -> None:
    """Cancel what waits for jobs that are removed, or for their members, and write."""
    kin = [*seqs, *chunks_of(ledger.tx, seqs)]
    ledger.load(kin)
    formers = {seq: row for seq in kin if (row := ledger.get(seq)) is not None and row.needed}
    if formers:
        _answer(ledger, formers, are_removed=True)
        finish(ledger)


def failed_members(ledger: Ledger, row: JobRow) -> int:
    """How many members of a batch have failed; 0 of other jobs."""
    return row.failed if ledger.is_batch(row) else 0


def give_up(ledger: Ledger, row: JobRow, why: ErrorInfo) -> None:
    """Cancel a job of which a need can't be met any more."""
    if row.status is Status.WAITING and not row.cancelling:
        ledger.set_error(row, why)
        cancel_waiting(ledger, row)


def _meet(ledger: Ledger, row: JobRow) -> None:
    """One need of a job is met; with the last one it can be claimed, now or when it is due."""
    if not row.needs:
        return
    row.needs -= 1
    ledger.changed(row)
    if row.needs == 0:
        now = ledger.tx.now
        is_due = row.scheduled_at is None or row.scheduled_at <= now
        if is_due or row.scheduled_at is None:
            row.scheduled_at = now
        row.due_at = row.scheduled_at
        ledger.move(row, Status.PENDING if is_due else Status.SCHEDULED)


def _answer(ledger: Ledger, formers: Mapping[int, JobRow], *, are_removed: bool = False) -> None:
    ledger.store()
    found = _waiting(ledger.tx.value("needs_of", seqs=list(formers)))
    ledger.load(waiting.dependent for waiting in found)
    known: list[int] = []
    lost: list[tuple[int, int]] = []
    for waiting in found:
        former, dependent = formers[waiting.job], ledger.get(waiting.dependent)
        is_met = False if are_removed else _is_met(ledger, former, waiting.when)
        if is_met is None:
            continue
        former.needed -= 1
        ledger.changed(former)
        if dependent is None or is_met or are_removed:
            known.append(waiting.need)
        else:
            lost.append((waiting.need, dependent.epoch))
        if dependent is None:
            continue
        if is_met:
            _meet(ledger, dependent)
        elif dependent.needs:
            give_up(ledger, dependent, unmet(former.id, None if are_removed else former.status))
    if lost:
        ledger.tx.run("lose_needs", rows=lost)
    if known:
        ledger.tx.run("delete_needs", needs=known)


def _is_met(ledger: Ledger, former: JobRow, when: When) -> bool | None:
    return verdict(when, former.status, failed_members=failed_members(ledger, former))
