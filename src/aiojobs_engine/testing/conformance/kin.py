"""Parents that end, start anew or are opened again, and what becomes of their chunks."""

import pytest

from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, RowFault
from aiojobs_engine.ports.backend import Claim, LeaseStatus
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class KinContract(Contract):
    """Bulk jobs: planners that fail, retries, reopenings, deletions."""

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.DISCARDED], ids=str)
    async def test_a_planner_that_ends_takes_its_chunks_along(self, stage: Stage, status: Status) -> None:
        planner, running = await _planning(stage)

        await stage.settle(planner, status)

        assert await stage.is_at("bulk", "bulk:1", "bulk:2") == [status, Status.PROCESSING, Status.CANCELLED]
        assert await stage.backend.extend([running.lease], 30) == [LeaseStatus(held=True, cancelling=True)]

    async def test_what_the_last_chunks_of_an_ended_parent_bring_still_counts(self, stage: Stage) -> None:
        planner, running = await _planning(stage)
        await stage.settle(planner, Status.FAILED)

        await stage.settle(running, Status.COMPLETED, counters=Counters(10, 0, 0, 10))

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.total) == (Status.FAILED, 10, 20)
        assert (await stage.told("bulk"))[-1] == "JobFailed"

    async def test_a_parent_that_expires_in_the_queue_takes_its_chunks_along(self, stage: Stage) -> None:
        planner = await stage.start("bulk", type="bulk", expires_at=stage.after(5))
        await stage.record(planner, children=(stage.chunk("bulk", 1),))
        await stage.settle(planner, Status.PENDING)
        await stage.clock.advance(5)

        await stage.backend.promote(10)

        assert await stage.is_at("bulk", "bulk:1") == [Status.EXPIRED, Status.CANCELLED]

    async def test_a_parent_that_is_cancelled_in_the_queue_takes_its_chunks_along(self, stage: Stage) -> None:
        planner, running = await _planning(stage)
        await stage.settle(planner, Status.RETRYING, due_at=stage.after(60))

        await stage.backend.cancel(["bulk"])

        assert await stage.is_at("bulk", "bulk:2") == [Status.CANCELLED] * 2
        await stage.settle(running, Status.RETRYING)
        assert await stage.is_at("bulk:1") == [Status.CANCELLED]

    async def test_a_planner_that_was_asked_to_end_and_waits_is_cancelled(self, stage: Stage) -> None:
        planner, running = await _planning(stage)
        await stage.backend.cancel(["bulk"])

        await stage.settle(planner, Status.WAITING)

        assert await stage.is_at("bulk", "bulk:2") == [Status.WAITING, Status.CANCELLED]
        await stage.settle(running, Status.CANCELLED)
        assert await stage.is_at("bulk") == [Status.CANCELLED]

    async def test_an_expired_chunk_closes_itself(self, stage: Stage) -> None:
        planner = await stage.start("bulk", type="bulk")
        await stage.record(planner, children=(stage.chunk("bulk", 1, expires_at=stage.after(5)),))
        await stage.settle(planner, Status.WAITING)
        await stage.clock.advance(5)

        await stage.backend.promote(10)

        assert await stage.is_at("bulk", "bulk:1") == [Status.COMPLETED, Status.EXPIRED]

    async def test_a_retried_parent_loses_the_chunks_of_its_last_epoch(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)
        await stage.settle(
            chunk, Status.FAILED, counters=Counters(0, 10, 0, 10), faults=(_fault(1), _fault(2))
        )

        assert await stage.backend.retry(["bulk"]) == [True]

        job = await stage.status("bulk")
        assert (job.status, job.epoch, job.processed, job.total) == (Status.PENDING, 1, 0, 0)
        assert await stage.backend.get(["bulk:1"]) == [None]
        assert await stage.failures("bulk") == []
        planner = await stage.take_one()
        assert planner.counters == Counters()
        await stage.record(planner, children=(stage.chunk("bulk", 1),))
        assert (await stage.status("bulk")).total == 10

    async def test_a_chunk_that_still_ran_at_the_retry_has_lost_its_lease(self, stage: Stage) -> None:
        planner, running = await _planning(stage)
        await stage.settle(planner, Status.FAILED)
        await stage.backend.retry(["bulk"])
        again = await stage.take_one()
        await stage.record(again, children=(stage.chunk("bulk", 1),))
        anew = await stage.take_one()
        before = await stage.picture()

        assert await stage.settle(running, Status.COMPLETED, counters=Counters(10, 0, 0, 10)) is False

        assert await stage.picture() == before
        assert await stage.settle(anew, Status.COMPLETED, counters=Counters(9, 1, 0, 10))
        assert (await stage.status("bulk")).succeeded == 9

    async def test_a_reopened_parent_waits_and_keeps_its_counters(self, stage: Stage) -> None:
        await _partial(stage)
        await stage.clock.advance(60)

        assert await stage.backend.reopen("bulk", [stage.chunk("bulk", 9, rows=2)])

        job = await stage.status("bulk")
        assert (job.status, job.epoch, job.finished_at) == (Status.WAITING, 1, None)
        assert (job.succeeded, job.failed, job.total) == (7, 3, 10)
        assert await stage.is_at("bulk:1", "bulk:9") == [Status.COMPLETED, Status.PENDING]
        told = [event for event in await stage.events() if event.job_id == "bulk"][-1]
        assert isinstance(told, JobRetrying)
        assert (told.status, told.due_at) == (Status.WAITING, stage.clock.now())
        assert await stage.told("bulk:9") == ["JobCreated"]

    async def test_resolved_rows_move_from_failed_to_succeeded(self, stage: Stage) -> None:
        await _partial(stage)
        await stage.backend.reopen("bulk", [stage.chunk("bulk", 9, rows=3)])
        await stage.clock.advance(60)
        chunk = await stage.take_one()

        await stage.settle(
            chunk,
            Status.COMPLETED,
            counters=Counters(2, 1, 0, 3),
            resolved=(1, 3),
            faults=(_fault(2, "still"),),
        )

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed, job.total) == (Status.PARTIAL, 9, 1, 10)
        failures = {one.row_number: one for one in await stage.failures("bulk")}
        assert [failures[row].resolved for row in (1, 2, 3)] == [True, False, True]
        assert [failures[row].attempts for row in (1, 2, 3)] == [2, 2, 2]
        assert [one.resolved for one in failures[1].history] == [False, True]
        assert [one.row_number for one in await stage.failures("bulk", unresolved=True)] == [2]

    async def test_a_parent_whose_rows_are_all_resolved_is_completed(self, stage: Stage) -> None:
        await _partial(stage)
        await stage.backend.reopen("bulk", [stage.chunk("bulk", 8, 2), stage.chunk("bulk", 9, 1)])
        first, second = await stage.take()

        await stage.settle(first, Status.COMPLETED, counters=Counters(2, 0, 0, 2), resolved=(1, 2))
        await stage.settle(second, Status.COMPLETED, counters=Counters(1, 0, 0, 1), resolved=(3,))

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed) == (Status.COMPLETED, 10, 0)
        assert await stage.failures("bulk", unresolved=True) == []

    async def test_a_row_is_resolved_once(self, stage: Stage) -> None:
        await _partial(stage)
        await stage.backend.reopen("bulk", [stage.chunk("bulk", 8), stage.chunk("bulk", 9)])
        first, second = await stage.take()

        await stage.settle(first, Status.COMPLETED, resolved=(1,))
        await stage.settle(second, Status.COMPLETED, resolved=(1, 2, 999))

        job = await stage.status("bulk")
        assert (job.succeeded, job.failed) == (9, 1)

    async def test_a_reopened_chunk_that_brings_nothing_adds_nothing(self, stage: Stage) -> None:
        await _partial(stage)
        await stage.backend.reopen("bulk", [stage.chunk("bulk", 8), stage.chunk("bulk", 9)])
        (chunk,) = await stage.take(1)

        await stage.settle(chunk, Status.FAILED, counters=Counters(0, 10, 0, 10))
        await stage.backend.cancel(["bulk"])

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed, job.total) == (Status.CANCELLED, 7, 3, 10)

    async def test_a_failed_job_without_chunks_can_be_reopened(self, stage: Stage) -> None:
        claim = await stage.start("a", kind="import", total=2)
        await stage.settle(claim, Status.FAILED, counters=Counters(0, 2, 0, 2), faults=(_fault(1), _fault(2)))

        await stage.backend.reopen("a", [stage.chunk("a", 1, 2)])

        assert (await stage.status("a")).error is None
        await stage.settle(await stage.take_one(), Status.COMPLETED, resolved=(2,))
        job = await stage.status("a")
        assert (job.status, job.succeeded, job.failed) == (Status.PARTIAL, 1, 1)

    async def test_nothing_is_reopened_without_a_new_chunk(self, stage: Stage) -> None:
        await _partial(stage)
        before = await stage.picture()

        assert await stage.backend.reopen("bulk", []) is False
        assert await stage.backend.reopen("bulk", [stage.chunk("bulk", 1)]) is False

        assert await stage.picture() == before

    async def test_a_reopening_that_is_repeated_is_refused(self, stage: Stage) -> None:
        await _partial(stage)
        children = [stage.chunk("bulk", 9)]
        await stage.backend.reopen("bulk", children)
        before = await stage.picture()

        assert await stage.backend.reopen("bulk", children) is False

        assert await stage.picture() == before

    async def test_a_parent_whose_chunks_run_is_not_deleted(self, stage: Stage) -> None:
        await stage.spawn()
        before = await stage.picture()

        assert await stage.backend.delete(["bulk"]) == [False]

        assert await stage.picture() == before

    async def test_a_deleted_parent_takes_chunks_and_failures_along(self, stage: Stage) -> None:
        await _partial(stage)

        assert await stage.backend.delete(["bulk"]) == [True]

        assert await stage.all_jobs() == []
        assert await stage.failures("bulk") == []


def _fault(row: int, message: str = "no") -> RowFault:
    return RowFault(row, f"key-{row}", {"row": row}, None, message)


async def _planning(stage: Stage) -> tuple[Claim, Claim]:
    """A running planner whose first chunk runs and whose second one is pending."""
    planner = await stage.start("bulk", type="bulk", kind="import")
    await stage.record(planner, children=(stage.chunk("bulk", 1), stage.chunk("bulk", 2)))
    return planner, await stage.take_one()


async def _partial(stage: Stage) -> None:
    """A partial bulk job: 7 rows in, the rows 1, 2 and 3 failed."""
    (chunk,) = await stage.spawn(chunks=1)
    faults = (_fault(1), _fault(2), _fault(3))
    await stage.settle(chunk, Status.COMPLETED, counters=Counters(7, 3, 0, 10), faults=faults)
