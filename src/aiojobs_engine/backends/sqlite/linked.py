"""New jobs that are bound to others: batches, their members, and jobs that wait for others."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from aiojobs_engine.backends.sqlite.bulk import end_if_done
from aiojobs_engine.backends.sqlite.enqueue import Encoded, add_jobs, first_of_each
from aiojobs_engine.backends.sqlite.flows import failed_members, finish, give_up
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope, is_same_job
from aiojobs_engine.core.needs import BATCH, Need, unmet, verdict
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Enqueued


def enqueue_linked(tx: Transaction, jobs: Sequence[Encoded]) -> list[Enqueued]:
    """Store all that is new in a call with links, or nothing where one of them is missing."""
    ledger = Ledger(tx)
    first = first_of_each(jobs)
    stored = ledger.by_id(_mentioned(first))
    missing = _missing(ledger, stored, first)
    if missing is not None:
        return [Enqueued(envelope.id, created=False, missing=missing) for envelope, _ in jobs]
    new = {envelope.id: envelope for envelope, _ in first if envelope.id not in stored}
    there = _add(ledger, first, stored, new, _waiting_ids(ledger, stored, new))
    rows = ledger.by_id(_mentioned([(envelope, b"") for envelope in new.values() if _is_bound(envelope)]))
    _bind(ledger, {**stored, **rows}, new)
    finish(ledger)
    answers: list[Enqueued] = []
    for envelope, _ in jobs:
        known = there.get(envelope.id)
        if known is None:
            answers.append(Enqueued(envelope.id, created=True))
            there[envelope.id] = new[envelope.id]
        else:
            answers.append(Enqueued(envelope.id, created=False, conflict=not is_same_job(known, envelope)))
    return answers


def _is_bound(envelope: Envelope) -> bool:
    return bool(envelope.needs) or envelope.kind == BATCH


def _mentioned(jobs: Sequence[Encoded]) -> list[str]:
    """The ids of jobs and of all that they name, once each."""
    ids: dict[str, None] = {}
    for envelope, _ in jobs:
        ids[envelope.id] = None
        if envelope.parent_id is not None:
            ids[envelope.parent_id] = None
        ids.update(dict.fromkeys(need.job_id for need in envelope.needs))
    return list(ids)


def _missing(ledger: Ledger, stored: Mapping[str, JobRow], jobs: Sequence[Encoded]) -> str | None:
    here: dict[str, Envelope] = {}
    for envelope, _ in jobs:
        if envelope.id not in stored:
            batch_id = envelope.parent_id
            if batch_id is not None and not _takes_members(ledger, stored.get(batch_id), here.get(batch_id)):
                return batch_id
            for need in envelope.needs:
                if need.job_id not in here and need.job_id not in stored:
                    return need.job_id
        here[envelope.id] = envelope
    return None


def _takes_members(ledger: Ledger, row: JobRow | None, new: Envelope | None) -> bool:
    if row is None:
        return new is not None and new.kind == BATCH
    return ledger.is_batch(row) and row.status is Status.WAITING and not row.cancelling


def _waiting_ids(ledger: Ledger, stored: Mapping[str, JobRow], new: Mapping[str, Envelope]) -> set[str]:
    """Which of the new jobs are stored as `waiting`."""
    return {
        envelope.id
        for envelope in new.values()
        if envelope.kind == BATCH or not all(_verdict(ledger, stored, need) for need in envelope.needs)
    }


def _verdict(ledger: Ledger, stored: Mapping[str, JobRow], need: Need) -> bool | None:
    row = stored.get(need.job_id)
    if row is None:
        return None
    return verdict(need.when, row.status, failed_members=failed_members(ledger, row))


def _add(
    ledger: Ledger,
    jobs: Sequence[Encoded],
    stored: Mapping[str, JobRow],
    new: Mapping[str, Envelope],
    waiting: AbstractSet[str],
) -> dict[str, Envelope]:
    """Store the jobs, in order, each under its batch; those that were there already, by id."""
    tx = ledger.tx
    there: dict[str, Envelope] = {}
    for batch_id, part in _runs(jobs, new):
        batch = None if batch_id is None else stored.get(batch_id) or ledger.by_id([batch_id])[batch_id]
        seq = None if batch is None else batch.seq
        known = add_jobs(tx, part, int(tx.value("last_job")), seq, waiting=waiting)
        there |= known
        if batch is not None:
            count = len(part) - len(known)
            batch.chunks += count
            batch.open_chunks += count
            batch.total += count
            ledger.changed(batch)
    return there


def _runs(
    jobs: Sequence[Encoded], new: Mapping[str, Envelope]
) -> Iterator[tuple[str | None, Sequence[Encoded]]]:
    """Parts that are stored under one batch, which stands before them; None for those that were there."""
    start, before = 0, None
    for index, (envelope, _) in enumerate(jobs):
        batch_id = envelope.parent_id if envelope.id in new else None
        if batch_id != before:
            if index > start:
                yield before, jobs[start:index]
            start, before = index, batch_id
    if jobs:
        yield before, jobs[start:]


def _bind(ledger: Ledger, rows: Mapping[str, JobRow], new: Mapping[str, Envelope]) -> None:
    """Note who waits for whom; end what waits for nothing or in vain."""
    edges: list[tuple[int, int, str, int | None]] = []
    in_vain: list[tuple[JobRow, JobRow]] = []
    batches: list[JobRow] = []
    for envelope in new.values():
        if not _is_bound(envelope):
            continue
        row = rows[envelope.id]
        if envelope.kind == BATCH:
            row.started_at = ledger.tx.now
            ledger.changed(row)
            batches.append(row)
            continue
        for need in dict.fromkeys(envelope.needs):
            former = rows[need.job_id]
            is_met = verdict(need.when, former.status, failed_members=failed_members(ledger, former))
            if is_met is None:
                edges.append((former.seq, row.seq, need.when, None))
                row.needs += 1
                former.needed += 1
                ledger.changed(row)
                ledger.changed(former)
            elif is_met is False:
                edges.append((former.seq, row.seq, need.when, row.epoch))
                in_vain.append((row, former))
    if edges:
        ledger.tx.run("add_needs", rows=edges)
    for row, former in in_vain:
        give_up(ledger, row, unmet(former.id, former.status))
    for batch in batches:
        end_if_done(ledger, batch)
