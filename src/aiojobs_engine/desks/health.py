"""Whether jobs get done, and what is in the way."""

import msgspec

from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.wording import counted
from aiojobs_engine.desks.cron_views import CronStatus, statuses
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.control import WorkerRecord
from aiojobs_engine.ports.flow import LimitRecord
from aiojobs_engine.ports.inspector import QueueStats

OLD_SECONDS = 300.0
"""A pending job that waits longer is a problem."""

_SILENT_LEASES = 3.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A store and its workers at one read.

    Attributes:
        ok: there is no problem.
        problems: what is wrong, in words for people, the worst first.
        backend: whether the store answered.
        workers: how many were heard of lately.
        slots, running: of those workers together.
        pending, processing, dead: numbers of jobs.
        oldest_pending_seconds: how long the oldest due job of a queue that is not paused has waited, None
            without one.
        paused: the names of paused queues.
        late_crons: the names of cron entries of which a fire is more than a minute overdue.
    """

    ok: bool
    problems: list[str]
    backend: bool
    workers: int = 0
    slots: int = 0
    running: int = 0
    pending: int = 0
    processing: int = 0
    dead: int = 0
    oldest_pending_seconds: float | None = None
    paused: list[str] = []
    late_crons: list[str] = []


async def health(session: Session) -> Health:
    """The health of the store that `session` is open on."""
    try:
        queues = await session.store.queues()
        workers = await session.store.workers()
        crons = await statuses(session, {each.entry.name: each for each in await session.store.crons()})
        limits = await session.store.limits()
    except BackendError as error:
        return Health(ok=False, problems=[f"the store doesn't answer: {error}"], backend=False)
    alive = [worker for worker in workers if not is_silent(worker, session)]
    ages = [queue.oldest_age for queue in queues if queue.oldest_age is not None and not queue.paused]
    problems = [
        *_unserved(queues, alive),
        *_old(queues),
        *_silent(workers, alive),
        *_late(crons),
        *_broken(limits),
    ]
    return Health(
        ok=not problems,
        problems=problems,
        backend=True,
        workers=len(alive),
        slots=sum(worker.slots for worker in alive),
        running=sum(worker.running for worker in alive),
        pending=_count(queues, Status.PENDING),
        processing=_count(queues, Status.PROCESSING),
        dead=_count(queues, Status.FAILED),
        oldest_pending_seconds=max(ages, default=None),
        paused=[queue.name for queue in queues if queue.paused],
        late_crons=[cron.name for cron in crons if cron.late],
    )


def is_silent(worker: WorkerRecord, session: Session) -> bool:
    """Has nothing been heard of a worker for longer than its leases last?"""
    silent_after = session.settings.worker.lease * _SILENT_LEASES * 1000
    return session.clock.now() - worker.beat_at > silent_after


def _count(queues: list[QueueStats], status: Status) -> int:
    return sum(queue.counts.get(status, 0) for queue in queues)


def _unserved(queues: list[QueueStats], alive: list[WorkerRecord]) -> list[str]:
    served = {name for worker in alive for name in worker.queues}
    return [
        f"no worker serves queue {queue.name!r}, with {counted(queue.counts[Status.PENDING], 'job')} pending"
        for queue in queues
        if queue.counts.get(Status.PENDING) and queue.name not in served and not queue.paused
    ]


def _old(queues: list[QueueStats]) -> list[str]:
    return [
        f"the oldest job of queue {queue.name!r} has waited {queue.oldest_age:,.0f} s"
        for queue in queues
        if queue.oldest_age is not None and queue.oldest_age > OLD_SECONDS and not queue.paused
    ]


def _silent(workers: list[WorkerRecord], alive: list[WorkerRecord]) -> list[str]:
    living = {worker.id for worker in alive}
    return [f"worker {worker.id} is silent" for worker in workers if worker.id not in living]


def _broken(limits: list[LimitRecord]) -> list[str]:
    return [
        f"the breaker of {record.limit.type!r} in queue {record.limit.queue!r} is open: its runs fail"
        for record in limits
        if record.limit.origin == "breaker"
    ]


def _late(crons: list[CronStatus]) -> list[str]:
    late = [
        f"cron entry {cron.name!r} is late: it was due at {cron.next_at:%Y-%m-%d %H:%M:%SZ}; "
        "start a worker that fires cron entries"
        for cron in crons
        if cron.late
    ]
    return late + [
        f"cron entry {cron.name!r} can't be fired: {cron.problem}" for cron in crons if cron.problem
    ]
