"""What a retry brings back: the batch of a member, and those that were cancelled for want of the job."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.flows import failed_members
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.backends.sqlite.rows import decode_bodies
from aiojobs_engine.core.envelope import decode_envelope
from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.needs import Need, is_revivable, verdict
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo


class _Lost(NamedTuple):
    """A row of `sql/lost_needs.sql`."""

    job: int
    dependent: int
    epoch: int


_lost = msgspec.json.Decoder(list[_Lost]).decode
_outcomes = msgspec.json.Decoder(list[tuple[str, int, str | None, str | None, bool, str | None]]).decode
_error = msgspec.json.Decoder(ErrorInfo).decode


def rejoin(ledger: Ledger, member: JobRow) -> list[JobRow]:
    """Take a member that starts anew back into its batch, or out of one that is cancelled.

    The batches that wait again for it, the outermost first.
    """
    batch = ledger.get(member.parent)
    if batch is None:
        return []
    ended_badly = batch.status in (Status.FAILED, Status.PARTIAL)
    if batch.cancelling or not (ended_badly or batch.status is Status.WAITING):
        member.parent = None
        ledger.tx.run("leave_batch", seqs=[member.seq])
        return []
    opened = [*rejoin(ledger, batch), batch] if ended_badly else []
    batch.open_chunks += 1
    batch.failed -= 1
    ledger.changed(batch)
    if ended_badly:
        _wait_again(ledger, batch)
    return opened


def revive(ledger: Ledger, formers: Sequence[JobRow]) -> None:
    """Let those wait again that were cancelled for want of jobs that start anew, and those behind them."""
    anew = deque(formers)
    known: set[int] = set()
    lost: defaultdict[int, list[_Lost]] = defaultdict(list)
    needs: dict[int, tuple[Need, ...]] = {}
    while anew:
        if unknown := [row.seq for row in anew if row.seq not in known]:
            found = _read(ledger, unknown, needs)
            known.update(unknown, [each.dependent for each in found])
            for each in found:
                lost[each.job].append(each)
        former = anew.popleft()
        for each in lost.pop(former.seq, ()):
            row = ledger.get(each.dependent)
            if row is not None and row.seq in needs and row.epoch == each.epoch:
                anew += _revive(ledger, row, needs[row.seq])


def _read(ledger: Ledger, seqs: Sequence[int], needs: dict[int, tuple[Need, ...]]) -> list[_Lost]:
    """Who was cancelled for want of jobs, and behind them; of those that may wait again, what they need."""
    ledger.store()
    found = _lost(ledger.tx.value("lost_needs", seqs=seqs))
    ledger.load(each.dependent for each in found)
    rows = {row.id: row for each in found if (row := ledger.get(each.dependent)) is not None}
    if not rows:
        return []
    outcomes = _outcomes(ledger.tx.value("results", ids=list(rows), now=ledger.tx.now))
    errors = {job_id: None if error is None else _error(error) for job_id, *_, error in outcomes}
    chosen = [job_id for job_id, row in rows.items() if is_revivable(row.status, errors[job_id])]
    for job_id, body in decode_bodies(ledger.tx.value("envelopes", ids=chosen)):
        needs[rows[job_id].seq] = decode_envelope(body).needs
    ledger.by_id([need.job_id for row in rows.values() for need in needs.get(row.seq, ())])
    return found


def _revive(ledger: Ledger, row: JobRow, needs: Iterable[Need]) -> list[JobRow]:
    """Let a job wait again, unless one of its needs can't be met; it, behind the batches that wait for it."""
    formers = ledger.by_id(list(dict.fromkeys(need.job_id for need in needs)))
    verdicts = {need: _verdict(ledger, formers, need) for need in needs}
    if row.status is not Status.CANCELLED or False in verdicts.values():
        return []
    opened = rejoin(ledger, row)
    edges = [(formers[need.job_id], need.when) for need, is_met in verdicts.items() if is_met is None]
    ledger.tx.run("drop_needs", seqs=[row.seq])
    ledger.tx.run("add_needs", rows=[(former.seq, row.seq, when, None) for former, when in edges])
    for former, _ in edges:
        former.needed += 1
        ledger.changed(former)
    row.needs = len(edges)
    row.expires_at = None
    _wait_again(ledger, row)
    return [*opened, row]


def _wait_again(ledger: Ledger, row: JobRow) -> None:
    row.epoch += 1
    ledger.set_error(row, None)
    ledger.move(row, Status.WAITING)
    ledger.emit(JobRetrying, row, "", ledger.tx.now)


def _verdict(ledger: Ledger, formers: Mapping[str, JobRow], need: Need) -> bool | None:
    former = formers.get(need.job_id)
    if former is None:
        return True
    return verdict(need.when, former.status, failed_members=failed_members(ledger, former))
