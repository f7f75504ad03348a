"""The memory store: what people and programs do to jobs, queues, workers and types."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.memory.chunks import abandon, cancel_queued, cancel_waiting, finish
from aiojobs_engine.backends.memory.ledger import Ledger, Part
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.backends.memory.revival import rejoin, revive
from aiojobs_engine.core.envelope import Envelope, encode_envelope
from aiojobs_engine.core.events import JobInterrupted, JobRetrying
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL, QUEUED, TRANSITIONS, Status, Trigger
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Cancelled, Keep, TypeRecord, WorkerRecord

_WORKER_SILENCE_MS = 60_000


class MemoryControl(Part):
    """`Control` of the memory store; what each verb means stands in the port."""

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel queued jobs at once; flag running ones."""
        ledger, now = self._opened(), self._ledger.clock.now()
        answers: list[Cancelled] = []
        for job_id in ids:
            job = ledger.jobs.get(job_id)
            if job is None:
                answers.append(Cancelled(None, done=False))
                continue
            before = job.status
            is_done = before is Status.CANCELLED or (not job.is_chunk and cancel_job(ledger, job, now))
            answers.append(Cancelled(before, is_done))
        finish(ledger, now)
        ledger.log.publish()
        return answers

    async def pause(self, ids: Sequence[str]) -> list[bool]:
        """Park queued jobs, flag running ones."""
        ledger, now = self._opened(), self._ledger.clock.now()
        answers = [
            (job := ledger.jobs.get(job_id)) is not None and pause_job(ledger, job, now) for job_id in ids
        ]
        ledger.log.publish()
        return answers

    async def resume(self, ids: Sequence[str]) -> list[bool]:
        """Make paused jobs pending again."""
        ledger, now = self._opened(), self._ledger.clock.now()
        answers: list[bool] = []
        for job_id in ids:
            job = ledger.jobs.get(job_id)
            if job is not None and job.status is Status.PROCESSING and job.pausing:
                job.pausing = False
                answers.append(True)
                continue
            answers.append(job is not None and job.status is Status.PAUSED)
            if job is not None and answers[-1]:
                ledger.move(job, Status.PENDING, now)
                ledger.tell(JobInterrupted, job, now)
        ledger.log.publish()
        return answers

    async def retry(self, ids: Sequence[str]) -> list[bool]:
        """Start final jobs anew, in a new epoch."""
        ledger, now = self._opened(), self._ledger.clock.now()
        answers: list[bool] = []
        anew: list[StoredJob] = []
        for job_id in ids:
            job = ledger.jobs.get(job_id)
            is_legal = job is not None and _is_retryable(job)
            answers.append(is_legal)
            if job is not None and is_legal:
                anew += _retry(ledger, job, now)
        revive(ledger, anew, now)
        ledger.log.publish()
        return answers

    async def reopen(self, parent_id: str, children: Sequence[Envelope]) -> bool:
        """Give an ended bulk job chunks for its unresolved rows."""
        ledger, now = self._opened(), self._ledger.clock.now()
        bodies = {child.id: encode_envelope(child) for child in children if child.id not in ledger.jobs}
        parent = ledger.jobs.get(parent_id)
        if parent is None or parent.parent is not None or not bodies or not _is_reopenable(parent):
            return False
        ledger.check_room(bodies)
        parent.epoch += 1
        parent.error = None
        ledger.move(parent, Status.WAITING, now)
        ledger.tell(JobRetrying, parent, now, "", now)
        for body in bodies.values():
            ledger.add(body, now, parent=parent, reopened=True)
        ledger.log.publish()
        return True

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that nobody runs."""
        ledger, now = self._opened(), self._ledger.clock.now()
        answers: list[bool] = []
        for job_id in ids:
            job = ledger.jobs.get(job_id)
            answers.append(job is not None and job.parent is None and not _is_running(job))
            if job is not None and answers[-1]:
                abandon(ledger, job, now)
                finish(ledger, now)
                ledger.remove(job)
        ledger.log.publish()
        return answers

    async def prune(self, keeps: Sequence[Keep], limit: int) -> list[str]:
        """Remove old final jobs, and results past their time."""
        ledger, now = self._opened(), self._ledger.clock.now()
        removed: list[str] = []
        for keep in keeps:
            removed += _prune(ledger, keep, limit - len(removed), now)
        for job in ledger.results.due(now, limit):
            job.result = None
        ledger.flow.forget_ended_turns()
        return removed

    async def pause_queue(self, name: str) -> None:
        """Let no more jobs of the queue be claimed."""
        ledger = self._opened()
        ledger.queues.add(name)
        ledger.paused.add(name)

    async def resume_queue(self, name: str) -> None:
        """Let them be claimed again."""
        ledger = self._opened()
        ledger.paused.discard(name)
        ledger.wake(name)

    async def beat(self, worker: WorkerRecord) -> None:
        """Announce a worker, and forget those that have been silent for a minute."""
        ledger, now = self._opened(), self._ledger.clock.now()
        ledger.workers[worker.id] = worker
        silent = [known.id for known in ledger.workers.values() if now - known.beat_at > _WORKER_SILENCE_MS]
        for worker_id in silent:
            del ledger.workers[worker_id]

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that stopped."""
        self._opened().workers.pop(worker_id, None)

    async def publish(self, types: Sequence[TypeRecord]) -> None:
        """Make job types known to dispatchers."""
        self._opened().types.update({record.name: msgspec.json.encode(record) for record in types})


def cancel_job(ledger: Ledger, job: StoredJob, now: Instant) -> bool:
    """Cancel a job as its status allows; whether it takes effect, now or later."""
    if job.status in QUEUED:
        cancel_queued(ledger, job, now)
    elif job.status is Status.WAITING:
        cancel_waiting(ledger, job, now)
    elif job.status is Status.PROCESSING:
        job.cancelling = True
    else:
        return False
    return True


def pause_job(ledger: Ledger, job: StoredJob, now: Instant) -> bool:
    """Pause a job as its status allows; whether it does."""
    if (job.status, Trigger.PAUSE) not in TRANSITIONS:
        return False
    if job.status is Status.PROCESSING:
        job.pausing = True
    else:
        ledger.move(job, Status.PAUSED, now)
        ledger.tell(JobInterrupted, job, now)
    return True


def _retry(ledger: Ledger, job: StoredJob, now: Instant) -> list[StoredJob]:
    """Start a job anew; it, behind the batches that wait for it again."""
    for chunk in job.family.chunks.values() if job.family else ():
        ledger.remove(chunk)
    ledger.results.take(job)
    opened = rejoin(ledger, job, now)
    job.family = job.kept = job.cursor = None
    job.error = job.message = job.result = job.result_until = None
    job.started_at = job.expires_at = None
    job.attempts = job.crashes = 0
    job.counters = Counters(total=job.envelope.total)
    job.scheduled_at = now
    job.epoch += 1
    ledger.move(job, Status.PENDING, now)
    ledger.tell(JobRetrying, job, now, "", now)
    return [*opened, job]


def _is_reopenable(job: StoredJob) -> bool:
    return not job.is_batch and job.status in FINAL and (job.status, Trigger.SPAWN) in TRANSITIONS


def _is_retryable(job: StoredJob) -> bool:
    return not (job.is_chunk or job.is_batch) and (job.status, Trigger.RETRY) in TRANSITIONS


def _is_running(job: StoredJob) -> bool:
    chunks = job.family.chunks.values() if job.family else ()
    return job.status is Status.PROCESSING or any(map(_is_running, chunks))


def _prune(ledger: Ledger, keep: Keep, limit: int, now: Instant) -> list[str]:
    shelves = [ledger.ended[status] for status in dict.fromkeys(keep.statuses) if status in ledger.ended]
    left = sum(map(len, shelves))
    removed: list[str] = []
    running: list[StoredJob] = []
    while len(removed) < limit:
        heads = [(*head, shelf) for shelf in shelves if (head := shelf.first()) is not None]
        if not heads:
            break
        finished_at, _, job, shelf = min(heads, key=lambda head: head[:2])
        if finished_at > now - keep.age * 1000 and left <= keep.keep:
            break
        left -= 1
        if _is_running(job):
            shelf.take(job)
            running.append(job)
        else:
            ledger.remove(job)
            removed.append(job.id)
    for job in running:
        ledger.ended[job.status].put(job, job.finished_at or now)
    return removed
