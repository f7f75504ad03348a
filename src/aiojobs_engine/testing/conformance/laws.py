"""What holds in every store at every time, whatever was done to it."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from aiojobs_engine.core.events import TERMINAL_EVENTS, JobCreated, JobRetrying, JobStarted, StoredEvent
from aiojobs_engine.core.state import FINAL, TRANSITIONS, Status, Trigger
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.checkup import Examinable
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage

_STEPS = {(start, end) for (start, _), end in TRANSITIONS.items()}
_SILENT = {Trigger.PROMOTE, Trigger.DEFER}


async def check_laws(backend: Store, clock: ManualClock) -> None:
    """Look at every job and event.

    Raises:
        AssertionError: a law is broken.
    """
    stage = Stage(backend, clock)
    jobs = await stage.all_jobs()
    for job in jobs:
        _check_job(job)
    await _check_indexes(backend, jobs)
    events = await stage.events()
    _check_cursors(events)
    for life in _lives(events).values():
        _check_life(life)
    _check_end(jobs, events)
    if isinstance(backend, Examinable):
        wrong = [finding for finding in await backend.examine() if finding.severity == "error"]
        assert not wrong, wrong


def _check_job(job: JobStatus) -> None:
    assert job.processed == job.succeeded + job.failed <= job.total, job
    assert min(job.succeeded, job.failed, job.skipped, job.total, job.attempts - job.crashes) >= 0, job
    assert (job.finished_at is not None) == (job.status in FINAL), job
    assert (job.worker is not None) == (job.status is Status.PROCESSING), job
    assert job.started_at is not None or job.status is not Status.PROCESSING, job


async def _check_indexes(backend: Store, jobs: list[JobStatus]) -> None:
    assert len({job.id for job in jobs}) == len(jobs), "a job is listed twice"
    recount = Counter((job.queue, job.status) for job in jobs)
    assert await backend.counts() == dict(recount)
    for queue in await backend.queues():
        of_queue = {status.value: number for (name, status), number in recount.items() if name == queue.name}
        assert dict(queue.counts) == of_queue, queue
        assert (queue.oldest_age is not None) == (Status.PENDING.value in of_queue), queue


def _check_cursors(events: list[StoredEvent]) -> None:
    ids = [event.event_id for event in events]
    assert len(set(ids)) == len(ids), "an event id stands twice"
    assert all(ids), "an event was stored without an id"


def _lives(events: Iterable[StoredEvent]) -> dict[tuple[str, int], list[StoredEvent]]:
    """The events by job, a job that was stored anew apart from the one before."""
    lives: dict[tuple[str, int], list[StoredEvent]] = {}
    births: Counter[str] = Counter()
    for event in events:
        births[event.job_id] += isinstance(event, JobCreated)
        lives.setdefault((event.job_id, births[event.job_id]), []).append(event)
    return lives


def _check_life(life: list[StoredEvent]) -> None:
    assert isinstance(life[0], JobCreated), life
    for event in life:
        assert event.processed == event.succeeded + event.failed <= event.total, event
    for before, after in pairwise(life):
        assert _follows(before.status, after.status), (before, after)
        assert isinstance(after, JobRetrying) or not isinstance(before, TERMINAL_EVENTS), (before, after)
        assert before.status is not after.status or not isinstance(after, JobStarted), (before, after)


def _follows(before: Status, after: Status) -> bool:
    is_step = before is after or (before, after) in _STEPS
    return is_step or any((silent, after) in _STEPS for silent in _silently_after(before))


def _silently_after(told: Status) -> set[Status]:
    """Where a job may be by now without an event."""
    found = {end for (start, trigger), end in TRANSITIONS.items() if start is told and trigger in _SILENT}
    return found | {Status.PENDING} if found else found


def _check_end(jobs: list[JobStatus], events: list[StoredEvent]) -> None:
    last = {event.job_id: event.status for event in events}
    for job in jobs:
        told = last[job.id]
        assert told is job.status or job.status in _silently_after(told), (
            f"{job.id} is {job.status}, the last event says {told}"
        )
