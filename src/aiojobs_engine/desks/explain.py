"""`engine.explain`: why a job is not running."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime

import msgspec

from aiojobs_engine.core.envelope import VERSION, Envelope
from aiojobs_engine.core.errors import JobNotFound
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.needs import BATCH, verdict
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.desks import interventions
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.flow import LimitRecord

_SILENT_AFTER = 60.0


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that keeps a job from running, or that holds it.

    Attributes:
        code: `ended`, `running`, `delay`, `paused`, `queue_paused`, `no_worker`, `no_handler`, `busy`,
            `version`, `behind`, `ready`, `needs`, `members`, `chunks`, `expires`, `concurrency`, `rate`,
            `key_limit`, `closed`.
        message: the same for people.
        until: when it goes by itself.
        jobs: ids of the jobs that it is about.
        count: how many jobs are in the way.
        worker: the worker that holds the job.
    """

    code: str
    message: str
    until: datetime | None = None
    jobs: tuple[str, ...] = ()
    count: int | None = None
    worker: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job stands where it does, at one read. All `reasons` hold at once."""

    job_id: str
    status: Status
    reasons: tuple[Reason, ...]


class _Asked(msgspec.Struct, frozen=True):
    """A job, and where to look for what holds it."""

    session: Session
    job: JobStatus
    envelope: Envelope


_Finder = Callable[[_Asked], Awaitable[list[Reason]]]


async def explain(session: Session, job_id: str) -> Explanation:
    """Every reason why a job is not running, or what holds it.

    Raises:
        JobNotFound: it is not stored.
    """
    job = await interventions.status_of(session.store, job_id)
    (envelope,) = await session.store.envelopes([job_id])
    if envelope is None:
        raise JobNotFound(job_id)
    asked = _Asked(session, job, envelope)
    reasons = [reason for find in _FINDERS[_group(job.status)] for reason in await find(asked)]
    if job.status is Status.PENDING and not reasons:
        reasons = [Reason(code="ready", message="nothing is in the way: a worker is about to claim it")]
    return Explanation(job_id=job.id, status=job.status, reasons=tuple(reasons))


async def _ended(asked: _Asked) -> list[Reason]:
    job = asked.job
    message = f"it ended as {job.status}"
    if job.error is not None:
        message += f": {job.error.message}" + (f" ({job.error.reason})" if job.error.reason else "")
    return [Reason(code="ended", message=message)]


async def _running(asked: _Asked) -> list[Reason]:
    (outlook,) = await asked.session.store.outlooks([asked.job.id])
    until = None if outlook is None or outlook.lease_until is None else moment(outlook.lease_until)
    worker = asked.job.worker
    message = f"the worker {worker} holds it" + (f" until {until:%H:%M:%S} UTC, and renews" if until else "")
    return [Reason(code="running", message=message, until=until, worker=worker)]


async def _delayed(asked: _Asked) -> list[Reason]:
    due = asked.job.scheduled_at
    why = "its last attempt failed, the next one" if asked.job.status is Status.RETRYING else "it"
    when = "at once" if due is None else f"at {due:%Y-%m-%d %H:%M:%S} UTC"
    return [Reason(code="delay", message=f"{why} is due {when}", until=due)]


async def _paused(asked: _Asked) -> list[Reason]:
    return [Reason(code="paused", message=f"it is paused: `jobs resume {asked.job.id}` lets it run")]


async def _needing(asked: _Asked) -> list[Reason]:
    needs = asked.envelope.needs
    formers = await asked.session.store.get([need.job_id for need in needs])
    reasons: list[Reason] = []
    for need, former in zip(needs, formers, strict=True):
        if former is None:
            continue
        failed = former.failed if former.kind == BATCH else 0
        if verdict(need.when, former.status, failed_members=failed) is None:
            message = f"it waits for the {need.when} of {former.id}, which is {former.status}"
            reasons.append(Reason(code="needs", message=message, jobs=(former.id,)))
    return reasons


async def _having_children(asked: _Asked) -> list[Reason]:
    job = asked.job
    if job.kind == BATCH:
        count = job.total - job.processed
        message = f"it waits for {count:,} of its {job.total:,} members"
        return [Reason(code="members", message=message, count=count)]
    if job.strategy != "batch":
        return []
    return [
        Reason(code="chunks", message=f"it waits for its chunks: {job.processed:,} of {job.total:,} rows")
    ]


async def _queue_paused(asked: _Asked) -> list[Reason]:
    name = asked.job.queue
    if any(queue.paused for queue in await asked.session.store.queues() if queue.name == name):
        message = f"the queue {name} is paused: `queues resume {name}` lets it go on"
        return [Reason(code="queue_paused", message=message)]
    return []


async def _worker_missing(asked: _Asked) -> list[Reason]:
    session, job = asked.session, asked.job
    now = session.clock.now()
    heard = [
        worker for worker in await session.store.workers() if now - worker.beat_at < _SILENT_AFTER * 1000
    ]
    serving = [worker for worker in heard if job.queue in worker.queues]
    if asked.envelope.v > VERSION:
        message = f"its envelope has version {asked.envelope.v}, workers of this release know up to {VERSION}"
        return [Reason(code="version", message=message)]
    if not serving:
        message = f"no worker serves the queue {job.queue} ({len(heard)} workers are there)"
        return [Reason(code="no_worker", message=message)]
    if not any(record.name == job.type for record in await session.store.types()):
        return [Reason(code="no_handler", message=f"no worker has published the type {job.type}")]
    if all(worker.running >= worker.slots for worker in serving):
        slots = sum(worker.slots for worker in serving)
        message = f"all {slots:,} slots of the {len(serving)} workers of the queue are taken"
        return [Reason(code="busy", message=message)]
    return []


async def _limits(asked: _Asked) -> list[Reason]:
    """What limits hold the job back."""
    queue, name = asked.job.queue, asked.job.type
    return [
        reason
        for record in await asked.session.store.limits()
        if record.in_force and record.limit.queue == queue and record.limit.type in ("", name)
        for reason in _held_back(asked, record)
    ]


def _held_back(asked: _Asked, record: LimitRecord) -> Iterator[Reason]:
    limit, running = record.limit, record.running
    whom = f"the type {limit.type} in the queue {limit.queue}" if limit.type else f"the queue {limit.queue}"
    if limit.by_key:
        key = asked.envelope.limit_key
        if key is not None and running:
            message = f"{whom} has a limit by key, which the jobs of the key {key!r} may have reached"
            yield Reason(code="key_limit", message=message)
        return
    if limit.closed_until is not None and limit.closed_until > asked.session.clock.now():
        until = moment(limit.closed_until)
        yield Reason(code="closed", message=f"{whom} is closed until {until:%H:%M:%S} UTC", until=until)
    if limit.concurrency is not None and running >= limit.concurrency:
        message = f"{running:,} jobs of {whom} run, at most {limit.concurrency:,} may"
        yield Reason(code="concurrency", message=message, count=running)
    if record.room is not None and record.room < asked.envelope.cost:
        yield Reason(code="rate", message=f"the rate of {whom} lets no more start now")


async def _behind(asked: _Asked) -> list[Reason]:
    (outlook,) = await asked.session.store.outlooks([asked.job.id])
    if outlook is None or not outlook.ahead:
        return []
    message = f"{outlook.ahead:,} jobs of its type come before it, by priority and age"
    return [Reason(code="behind", message=message, count=outlook.ahead)]


async def _expiring(asked: _Asked) -> list[Reason]:
    expires_at = asked.envelope.expires_at
    if expires_at is None or asked.job.epoch:  # a retry by hand frees the job of it
        return []
    until = moment(expires_at)
    message = f"it expires when it has not started by {until:%Y-%m-%d %H:%M:%S} UTC"
    return [Reason(code="expires", message=message, until=until)]


def _group(status: Status) -> Status:
    """The status under which the finders of `status` stand."""
    if status in FINAL:
        return Status.COMPLETED
    return Status.SCHEDULED if status is Status.RETRYING else status


_FINDERS: dict[Status, tuple[_Finder, ...]] = {
    Status.COMPLETED: (_ended,),
    Status.PROCESSING: (_running,),
    Status.SCHEDULED: (_delayed, _queue_paused, _worker_missing, _expiring),
    Status.PAUSED: (_paused, _queue_paused, _worker_missing, _expiring),
    Status.WAITING: (_needing, _having_children),
    Status.PENDING: (_queue_paused, _worker_missing, _limits, _behind, _expiring),
}
