"""Batches larger than one statement takes, and listings by each of the ways that lead to a job."""

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, enqueue
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import JobFilter
from aiojobs_engine.testing.conformance.stage import Stage


async def test_a_batch_of_any_size_is_stored_whole_and_in_order(store: SqliteBackend, stage: Stage) -> None:
    await stage.put("j7")
    jobs = [stage.envelope(f"j{number}", meta={"size": "x" * (number % 5000)}) for number in range(2_500)]

    answers = await store.enqueue([*jobs, jobs[3]])

    assert [answer.job_id for answer in answers if not answer.created] == ["j7", "j3"]
    claims = await stage.take(3_000)
    assert [claim.envelope.id for claim in claims] == ["j7", *[job.id for job in jobs if job.id != "j7"]]
    assert claims[2_000].envelope == jobs[2_000]


async def test_large_bodies_are_written_in_slices(
    store: SqliteBackend, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue, "_SLICE_BYTES", 10_000)
    jobs = [stage.envelope(f"j{number}", meta={"size": "x" * 4_000}) for number in range(10)]

    assert [answer.created for answer in await store.enqueue(jobs)] == [True] * 10
    assert await store.envelopes([job.id for job in jobs]) == jobs


async def test_runs_of_many_histories_settle_together(store: SqliteBackend, stage: Stage) -> None:
    await stage.put(*[f"j{number}" for number in range(10)])
    claims = await stage.take(10)

    settled = [
        stage.settlement(claim, Status.COMPLETED, attempts=number + 1) for number, claim in enumerate(claims)
    ]

    assert await store.settle(settled) == [True] * 10
    assert [job.attempts for job in await store.get([f"j{number}" for number in range(10)]) if job] == [
        *range(1, 11)
    ]


@pytest.mark.parametrize(
    "status", [Status.PROCESSING, Status.PAUSED, Status.WAITING, Status.FAILED, Status.PENDING]
)
async def test_jobs_are_found_by_their_status(stage: Stage, status: Status) -> None:
    for number, each in enumerate([status, Status.CANCELLED, status]):
        await stage.bring(f"j{number}", each)
        for claim in await stage.take():
            await stage.settle(claim, Status.DISCARDED)

    found = [job.id for job in await stage.all_jobs(JobFilter(status=(status,)), page=1)]

    assert found == [job.id for job in await stage.all_jobs() if job.status is status]
