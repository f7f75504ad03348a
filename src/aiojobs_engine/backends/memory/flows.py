"""New jobs that are bound to others: batches, their members, and jobs that wait for others."""

from collections.abc import Mapping, Sequence

from aiojobs_engine.backends.memory.chunks import cancel_waiting, end_if_done, failed_members
from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import BATCH, Need, unmet, verdict
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Enqueued


def missing_link(ledger: Ledger, envelopes: Sequence[Envelope]) -> str | None:
    """A job that a new one names and that is not stored, or takes no members; None when all is there."""
    here: dict[str, Envelope] = {}
    for envelope in envelopes:
        if is_linked(envelope) and envelope.id not in ledger.jobs and envelope.id not in here:
            batch_id = envelope.parent_id
            if batch_id is not None and not _takes_members(ledger, here, batch_id):
                return batch_id
            for need in envelope.needs:
                if need.job_id not in here and need.job_id not in ledger.jobs:
                    return need.job_id
        here.setdefault(envelope.id, envelope)
    return None


def _takes_members(ledger: Ledger, here: Mapping[str, Envelope], batch_id: str) -> bool:
    batch = ledger.jobs.get(batch_id)
    if batch is None:
        return batch_id in here and here[batch_id].kind == BATCH
    return batch.is_batch and batch.status is Status.WAITING and not batch.cancelling


def add_linked(ledger: Ledger, envelope: Envelope, body: bytes, now: Instant) -> None:
    """Store a new job whose links are all there."""
    needs = {need: _verdict(ledger, need) for need in envelope.needs}
    is_batch = envelope.kind == BATCH
    batch = None if envelope.parent_id is None else ledger.jobs[envelope.parent_id]
    waits = is_batch or not all(needs.values())
    job = ledger.add(body, now, parent=batch, waits=waits)
    if is_batch:
        job.started_at = now
        job.own_family().open = 1  # held until the call that brings its members is over
    if batch is not None:
        sums = batch.counters
        batch.counters = Counters(sums.succeeded, sums.failed, sums.skipped, sums.total + 1)
    if is_batch or not waits:
        return
    job.open_needs = sum(is_met is None for is_met in needs.values())
    for need, is_met in needs.items():
        former = ledger.jobs[need.job_id]
        if is_met is False:
            job.error = unmet(former.id, former.status)
            former.lost.append((job, job.epoch))
        elif is_met is None:
            former.dependents.append((job, need))


def close_batches(
    ledger: Ledger, envelopes: Sequence[Envelope], answers: Sequence[Enqueued], now: Instant
) -> None:
    """Let go of new batches now that their members are stored, and cancel what can't start any more."""
    for envelope, answer in zip(envelopes, answers, strict=True):
        if not answer.created:
            continue
        job = ledger.jobs[envelope.id]
        if envelope.kind == BATCH:
            job.own_family().open -= 1
            end_if_done(ledger, job, now)
        elif job.error is not None and job.status is Status.WAITING:
            cancel_waiting(ledger, job, now)


def _verdict(ledger: Ledger, need: Need) -> bool | None:
    former: StoredJob = ledger.jobs[need.job_id]
    return verdict(need.when, former.status, failed_members=failed_members(former))
