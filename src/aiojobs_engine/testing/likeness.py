"""What the answers of two stores have in common once their own addresses are left out."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from aiojobs_engine.core.events import JobEvent, StoredEvent
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.testing.conformance.stage import Stage


def without_refs(claims: Iterable[Claim]) -> list[Claim]:
    """Claims, in order, without the store's address of the job."""
    return [msgspec.structs.replace(one, lease=msgspec.structs.replace(one.lease, ref=0)) for one in claims]


def events_by_job(events: Sequence[StoredEvent]) -> dict[str, list[JobEvent]]:
    """Events without their ids, in order for each job; across jobs a store is free."""
    anonymous = [msgspec.structs.replace(event, event_id="") for event in events]
    anonymous.sort(key=lambda event: event.job_id)
    return {job_id: list(told) for job_id, told in groupby(anonymous, key=lambda event: event.job_id)}


async def failed_rows(stage: Stage) -> object:
    """The failed rows of all jobs without their ids, and the jobs as small pages give them."""
    jobs = [job.id for job in await stage.all_jobs(page=3)]
    failures = [await stage.failures(job_id) for job_id in jobs]
    return jobs, [[msgspec.structs.replace(one, id="") for one in of_job] for of_job in failures]


async def results(stage: Stage) -> object:
    """Result and envelope of every job."""
    jobs = [job.id for job in await stage.all_jobs()]
    return await stage.backend.results(jobs), await stage.backend.envelopes(jobs)


async def queues(stage: Stage) -> object:
    """All counts, and the queues that hold or hold back something; a store may list more."""
    listed = [queue for queue in await stage.backend.queues() if queue.counts or queue.paused]
    return [msgspec.to_builtins(queue) for queue in listed], await stage.backend.counts()
