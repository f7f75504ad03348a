"""What a retry brings back: the batch of a member, and those that were cancelled for want of the job."""

from collections import deque
from collections.abc import Iterable

import msgspec

from aiojobs_engine.backends.memory.chunks import failed_members
from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import Need, is_revivable, verdict
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters


def rejoin(ledger: Ledger, job: StoredJob, now: Instant) -> list[StoredJob]:
    """Take a member that starts anew back into its batch, or out of one that is cancelled.

    The batches that wait again for it, the outermost first.
    """
    batch = job.parent
    if batch is None:
        return []
    ended_badly = batch.status in (Status.FAILED, Status.PARTIAL)
    if batch.cancelling or not (ended_badly or batch.status is Status.WAITING):
        del batch.own_family().chunks[job.id]
        job.parent = None
        job.envelope = msgspec.structs.replace(job.envelope, parent_id=None)
        return []
    opened = [*rejoin(ledger, batch, now), batch] if ended_badly else []
    batch.own_family().open += 1
    sums = batch.counters
    batch.counters = Counters(sums.succeeded, sums.failed - 1, sums.skipped, sums.total)
    if ended_badly:
        _wait_again(ledger, batch, now)
    return opened


def revive(ledger: Ledger, formers: Iterable[StoredJob], now: Instant) -> None:
    """Let those wait again that were cancelled for want of jobs that start anew, and those behind them."""
    anew = deque(formers)
    while anew:
        former = anew.popleft()
        lost, former.lost = sorted(former.lost, key=lambda each: each[0].place), []
        for job, epoch in lost:
            is_there = ledger.jobs.get(job.id) is job and job.epoch == epoch
            if not (is_there and is_revivable(job.status, job.error)):
                continue
            needs = {need: _verdict(ledger, need) for need in job.envelope.needs}
            if False in needs.values():
                former.lost.append((job, epoch))
                continue
            anew += rejoin(ledger, job, now)
            _bind(ledger, job, [need for need, is_met in needs.items() if is_met is None])
            job.expires_at = None
            _wait_again(ledger, job, now)
            anew.append(job)


def _wait_again(ledger: Ledger, job: StoredJob, now: Instant) -> None:
    job.epoch += 1
    job.error = None
    ledger.move(job, Status.WAITING, now)
    ledger.tell(JobRetrying, job, now, "", now)


def _bind(ledger: Ledger, job: StoredJob, needs: list[Need]) -> None:
    job.open_needs = len(needs)
    for need in needs:
        former = ledger.jobs[need.job_id]
        former.dependents = [each for each in former.dependents if each != (job, need)]
        former.dependents.append((job, need))


def _verdict(ledger: Ledger, need: Need) -> bool | None:
    former = ledger.jobs.get(need.job_id)
    if former is None:
        return True
    return verdict(need.when, former.status, failed_members=failed_members(former))
