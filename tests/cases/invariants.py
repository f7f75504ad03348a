"""What holds of a store at the end of every case, whatever happened to its jobs."""

from collections import Counter
from typing import Any

from aiojobs_engine.core.events import (
    TERMINAL_EVENTS,
    JobCompleted,
    JobCreated,
    JobDiscarded,
    JobFailed,
    JobRetrying,
    JobStarted,
    StoredEvent,
)
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.inspector import JobFilter

_ALL = JobFilter()


async def check_store(store: Any) -> None:
    """Conservation, one end per job, attempts that were counted, counters that equal a recount."""
    jobs = await every_job(store)
    events = await every_event(store)
    by_job: dict[str, list[StoredEvent]] = {}
    for event in events:
        by_job.setdefault(event.job_id, []).append(event)
    assert len({event.event_id for event in events}) == len(events)
    counts = {key: count for key, count in (await store.counts()).items() if count}
    assert counts == Counter((job.queue, job.status) for job in jobs)
    for job in jobs:
        check_job(job, by_job.get(job.id, []))


def check_job(job: JobStatus, events: list[StoredEvent]) -> None:
    """One job against the events that tell its life."""
    assert job.processed == job.succeeded + job.failed
    assert job.processed <= job.total
    assert (job.worker is not None) is (job.status is Status.PROCESSING)
    assert (job.finished_at is not None) is (job.status in FINAL)
    assert isinstance(events[0], JobCreated)
    life = _last_epoch(events)
    ends = [event for event in life if isinstance(event, TERMINAL_EVENTS)]
    assert len(ends) == (job.status in FINAL), f"{job.id} is {job.status}: {ends}"
    if ends:
        assert life[-1] is ends[0]
        assert ends[0].status is job.status
    if job.kind == "job":
        assert job.attempts == sum(map(_is_counted, life))
        assert sum(isinstance(event, JobStarted) for event in life) >= job.attempts
        assert job.crashes <= job.attempts


async def every_job(store: Any) -> list[JobStatus]:
    found: list[JobStatus] = []
    cursor: str | None = None
    while True:
        page, cursor = await store.find(_ALL, 1000, cursor)
        found += page
        if cursor is None:
            return found


async def every_event(store: Any) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    cursor: str | None = None
    while True:
        page, cursor = await store.read(cursor, 1000)
        if not page:
            return found
        found += page


def _last_epoch(events: list[StoredEvent]) -> list[StoredEvent]:
    """From the last retry by hand on, and of a job that was deleted and stored again its last life."""
    anew = [place for place, event in enumerate(events) if _is_new_start(event)]
    return events[anew[-1] :]


def _is_new_start(event: StoredEvent) -> bool:
    is_retry = isinstance(event, JobRetrying) and event.status is Status.PENDING and not event.error
    return is_retry or isinstance(event, JobCreated)


def _is_counted(event: StoredEvent) -> bool:
    if isinstance(event, JobRetrying):
        return event.status is Status.RETRYING or (event.status is Status.PENDING and bool(event.error))
    return isinstance(event, JobCompleted | JobFailed | JobDiscarded)
