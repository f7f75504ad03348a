"""Chunks and their parent: one write, one sum, one end."""

import pytest

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobCancelled, JobCompleted, JobFailed, JobProgressed
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.backend import Cancelled
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

CHUNK_ENDS = sorted(FINAL - {Status.EXPIRED})


class ChunkContract(Contract):
    """Bulk jobs: how chunks add up, and how their parents end."""

    async def test_chunks_add_up_in_their_parent(self, stage: Stage) -> None:
        first, second = await stage.spawn()

        await stage.settle(first, Status.COMPLETED, counters=Counters(8, 2, 1, 10))

        job = await stage.status("bulk")
        assert (job.succeeded, job.failed, job.skipped, job.total) == (8, 2, 1, 20)
        assert job.status is Status.WAITING
        await stage.settle(second, Status.COMPLETED, counters=Counters(10, 0, 3, 10))
        job = await stage.status("bulk")
        assert (job.succeeded, job.failed, job.skipped, job.total) == (18, 2, 4, 20)

    @pytest.mark.parametrize(
        "succeeded, failed, status",
        [
            (20, 0, Status.COMPLETED),
            (0, 0, Status.COMPLETED),
            (1, 19, Status.PARTIAL),
            (0, 20, Status.FAILED),
        ],
    )
    async def test_a_parent_ends_with_its_last_chunk_by_its_counters(
        self, stage: Stage, succeeded: int, failed: int, status: Status
    ) -> None:
        first, second = await stage.spawn(rows=20)
        await stage.settle(first, Status.COMPLETED)
        await stage.clock.advance(1)

        await stage.settle(second, Status.COMPLETED, counters=Counters(succeeded, failed, 0, 20))

        job = await stage.status("bulk")
        assert job.status is status
        assert job.finished_at is not None
        event = (await stage.events())[-1]
        assert isinstance(event, JobFailed if status is Status.FAILED else JobCompleted)
        assert (event.job_id, event.status, event.processed) == ("bulk", status, succeeded + failed)
        assert event.at == stage.clock.now()

    async def test_a_parent_in_which_no_row_succeeded_says_why(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)

        await stage.settle(chunk, Status.COMPLETED, counters=Counters(0, 10, 0, 10))

        event = (await stage.events())[-1]
        assert isinstance(event, JobFailed)
        assert (event.error, event.reason) == ("no row succeeded", "rows")
        assert (await stage.status("bulk")).error == ErrorInfo("rows", "no row succeeded", reason="rows")

    @pytest.mark.parametrize("status", CHUNK_ENDS, ids=str)
    async def test_a_chunk_that_ends_in_any_way_closes_itself(self, stage: Stage, status: Status) -> None:
        (chunk,) = await stage.spawn(chunks=1)

        await stage.settle(chunk, status, counters=Counters(3, 7, 0, 10))

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed) == (Status.PARTIAL, 3, 7)
        assert await stage.is_at("bulk:1") == [status]

    async def test_a_chunk_that_goes_back_adds_nothing_yet(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)
        await stage.record(chunk, counters=Counters(4, 0, 0, 10), cursor=b"4")

        await stage.settle(chunk, Status.RETRYING, counters=Counters(6, 0, 0, 10))

        job = await stage.status("bulk")
        assert (job.status, job.processed) == (Status.WAITING, 0)
        assert (await stage.status("bulk:1")).processed == 4

    async def test_a_chunk_that_runs_twice_counts_once(self, stage: Stage) -> None:
        lost, other = await stage.spawn()
        await stage.clock.advance(29)
        await stage.backend.extend([other.lease], 600)
        await stage.clock.advance(1)
        (rescued,) = await stage.backend.rescue("w2", 10, 30)
        await stage.settle(rescued, Status.RETRYING, crashes=1, attempts=1)
        await stage.backend.promote(10)
        (again,) = await stage.take(worker="w2")

        late = stage.settlement(lost, Status.COMPLETED, counters=Counters(10, 0, 0, 10))
        good = stage.settlement(again, Status.COMPLETED, counters=Counters(9, 1, 0, 10))
        assert await stage.backend.settle([late, good, good]) == [False, True, True]

        job = await stage.status("bulk")
        assert (job.succeeded, job.failed, job.status) == (9, 1, Status.WAITING)

    async def test_all_chunks_may_settle_in_one_batch(self, stage: Stage) -> None:
        chunks = await stage.spawn(chunks=50)

        answers = await stage.backend.settle(
            [stage.settlement(chunk, Status.COMPLETED, counters=Counters(9, 1, 0, 10)) for chunk in chunks]
        )

        assert answers == [True] * 50
        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed, job.total) == (Status.PARTIAL, 450, 50, 500)
        assert (await stage.told("bulk")).count("JobCompleted") == 1

    async def test_a_parent_without_chunks_ends_as_it_settles(self, stage: Stage) -> None:
        claim = await stage.start("bulk", type="bulk")

        await stage.settle(claim, Status.WAITING)

        assert await stage.is_at("bulk") == [Status.COMPLETED]
        assert (await stage.told("bulk"))[-2:] == ["JobProgressed", "JobCompleted"]

    async def test_a_parent_whose_chunks_were_faster_ends_as_it_settles(self, stage: Stage) -> None:
        claim = await stage.start("bulk", type="bulk")
        await stage.record(claim, children=(stage.chunk("bulk", 1),))
        await stage.settle(await stage.take_one(), Status.COMPLETED, counters=Counters(9, 1, 0, 10))
        assert await stage.is_at("bulk") == [Status.PROCESSING]

        await stage.settle(claim, Status.WAITING)

        assert await stage.is_at("bulk") == [Status.PARTIAL]

    async def test_a_waiting_parent_holds_no_lease(self, stage: Stage) -> None:
        await stage.plan()
        await stage.clock.advance(3600)

        assert await stage.backend.rescue("w2", 10, 30) == []
        assert (await stage.status("bulk")).worker is None

    @pytest.mark.parametrize("status", [Status.PENDING, Status.RETRYING, Status.SCHEDULED], ids=str)
    async def test_a_planner_that_goes_back_loses_no_count(self, stage: Stage, status: Status) -> None:
        planner = await stage.start("bulk", type="bulk")
        await stage.record(planner, children=(stage.chunk("bulk", 1), stage.chunk("bulk", 2)))
        (chunk,) = await stage.take(1)
        await stage.settle(chunk, Status.COMPLETED, counters=Counters(9, 1, 0, 10))

        await stage.settle(planner, status, counters=Counters(0, 0, 0, 0))

        job = await stage.status("bulk")
        assert (job.succeeded, job.failed, job.total) == (9, 1, 20)
        await stage.backend.promote(10)
        again = await stage.take_one(types=["bulk"])
        assert again.counters == Counters(9, 1, 0, 20)
        await stage.record(again, counters=Counters(0, 0, 0, 1), children=(stage.chunk("bulk", 1),))
        await stage.settle(again, Status.WAITING)
        await stage.settle(await stage.take_one(), Status.COMPLETED, counters=Counters(10, 0, 0, 10))
        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed, job.total) == (Status.PARTIAL, 19, 1, 20)

    async def test_progress_of_the_parent_is_told_at_most_four_times_a_second(self, stage: Stage) -> None:
        chunks = await stage.spawn(chunks=12)

        for chunk in chunks:
            await stage.settle(chunk, Status.COMPLETED, counters=Counters(10, 0, 0, 10))
            await stage.clock.advance(0.125)

        told = [event for event in await stage.events() if isinstance(event, JobProgressed)][1:]
        assert [event.processed for event in told] == [10, 30, 50, 70, 90, 110]
        assert {event.job_id for event in told} == {"bulk"}
        assert {event.status for event in told} == {Status.WAITING}
        assert (await stage.told("bulk"))[-1] == "JobCompleted"

    async def test_progress_is_told_although_the_wall_clock_fell_back(self, stage: Stage) -> None:
        first, second, _ = await stage.spawn(chunks=3)
        await stage.settle(first, Status.COMPLETED)
        stage.clock.set_wall(stage.after(-3600))

        await stage.settle(second, Status.COMPLETED)

        assert isinstance((await stage.events())[-1], JobProgressed)

    async def test_progress_of_the_parent_carries_its_message(self, stage: Stage) -> None:
        planner = await stage.start("bulk", type="bulk")
        await stage.record(planner, message="reading", children=(stage.chunk("bulk", 1),))

        await stage.settle(await stage.take_one(), Status.COMPLETED, counters=Counters(10, 0, 0, 10))

        event = (await stage.events())[-1]
        assert isinstance(event, JobProgressed)
        assert (event.job_id, event.message, event.status) == ("bulk", "reading", Status.PROCESSING)
        assert (event.attempt, event.processed) == (1, 10)

    async def test_failed_rows_of_a_chunk_are_the_parents(self, stage: Stage) -> None:
        first, second = await stage.spawn()

        await stage.settle(second, Status.COMPLETED, faults=(_fault(15, "b"), _fault(12, "a")))
        await stage.settle(first, Status.COMPLETED, faults=(_fault(3, "c"),))

        failures = await stage.failures("bulk")
        assert [(one.row_number, one.message, one.attempts) for one in failures] == [
            (3, "c", 1),
            (12, "a", 1),
            (15, "b", 1),
        ]
        assert {one.job_id for one in failures} == {"bulk"}
        assert await stage.failures("bulk:1") == []

    @pytest.mark.parametrize("after", ["", "nonsense", "bulk:x", pytest.param("9" * 5000, id="endless")])
    async def test_a_failure_of_somebody_else_begins_no_page(self, stage: Stage, after: str) -> None:
        chunk, _ = await stage.spawn()
        await stage.settle(chunk, Status.COMPLETED, faults=(_fault(3, "c"),))

        with pytest.raises(ConfigError, match="no failure of this store"):
            await stage.backend.failures("bulk", unresolved=False, after=after, limit=10)

    async def test_a_row_that_fails_again_gets_one_more_entry(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)
        await stage.settle(chunk, Status.RETRYING, faults=(_fault(3, "first"),))
        await stage.backend.promote(10)
        await stage.clock.advance(5)

        again = await stage.take_one()
        await stage.settle(
            again, Status.FAILED, counters=Counters(9, 1, 0, 10), faults=(_fault(3, "second", field="age"),)
        )

        (failure,) = await stage.failures("bulk")
        assert (failure.message, failure.field, failure.attempts) == ("second", "age", 2)
        assert [(one.message, one.field, one.resolved) for one in failure.history] == [
            ("first", None, False),
            ("second", "age", False),
        ]
        assert (failure.history[1].at - failure.history[0].at).total_seconds() == 5

    async def test_a_cancelled_parent_takes_its_queued_chunks_along_at_once(self, stage: Stage) -> None:
        await stage.plan(chunks=3)

        assert await stage.backend.cancel(["bulk"]) == [Cancelled(Status.WAITING, done=True)]

        assert await stage.is_at("bulk", "bulk:1", "bulk:2", "bulk:3") == [Status.CANCELLED] * 4
        assert await stage.told("bulk:3") == ["JobCreated", "JobCancelled"]
        assert (await stage.told("bulk"))[-1] == "JobCancelled"
        assert await stage.take() == []

    async def test_a_cancelled_parent_ends_with_its_last_running_chunk(self, stage: Stage) -> None:
        await stage.plan(chunks=3)
        (running,) = await stage.take(1)

        await stage.backend.cancel(["bulk"])

        assert await stage.is_at("bulk", "bulk:1", "bulk:2") == [
            Status.WAITING,
            Status.PROCESSING,
            Status.CANCELLED,
        ]
        (answer,) = await stage.backend.extend([running.lease], 30)
        assert answer.cancelling
        await stage.settle(running, Status.CANCELLED, counters=Counters(4, 0, 0, 10))
        job = await stage.status("bulk")
        assert (job.status, job.succeeded) == (Status.CANCELLED, 4)
        assert isinstance((await stage.events())[-1], JobCancelled)

    async def test_a_flagged_chunk_that_goes_back_ends_the_cancelled_parent(self, stage: Stage) -> None:
        (running,) = await stage.spawn(chunks=1)
        await stage.backend.cancel(["bulk"])

        await stage.settle(running, Status.RETRYING)

        assert await stage.is_at("bulk", "bulk:1") == [Status.CANCELLED] * 2

    async def test_a_cancelled_parent_stays_cancelled_when_all_chunks_complete(self, stage: Stage) -> None:
        (running,) = await stage.spawn(chunks=1)
        await stage.backend.cancel(["bulk"])

        await stage.settle(running, Status.COMPLETED, counters=Counters(10, 0, 0, 10))

        job = await stage.status("bulk")
        assert (job.status, job.succeeded) == (Status.CANCELLED, 10)

    async def test_what_a_cancelled_chunk_had_kept_counts(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)
        await stage.record(chunk, counters=Counters(4, 1, 0, 10), cursor=b"5")
        await stage.settle(chunk, Status.PENDING)

        await stage.backend.cancel(["bulk"])

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed) == (Status.CANCELLED, 4, 1)

    async def test_a_chunk_is_not_cancelled_alone(self, stage: Stage) -> None:
        await stage.plan()
        before = await stage.picture()

        assert await stage.backend.cancel(["bulk:1"]) == [Cancelled(Status.PENDING, done=False)]

        assert await stage.picture() == before

    async def test_a_chunk_is_not_retried_or_deleted_alone(self, stage: Stage) -> None:
        first, _ = await stage.spawn()
        await stage.settle(first, Status.FAILED, counters=Counters(0, 10, 0, 10))
        before = await stage.picture()

        assert await stage.backend.retry(["bulk:1"]) == await stage.backend.delete(["bulk:1"]) == [False]

        assert await stage.picture() == before

    async def test_a_chunk_can_be_paused_and_resumed(self, stage: Stage) -> None:
        await stage.plan(chunks=1)

        assert await stage.backend.pause(["bulk:1"]) == [True]
        assert await stage.take() == []
        assert await stage.backend.resume(["bulk:1"]) == [True]

        await stage.settle(await stage.take_one(), Status.COMPLETED, counters=Counters(10, 0, 0, 10))
        assert await stage.is_at("bulk") == [Status.COMPLETED]


def _fault(row: int, message: str, *, field: str | None = None) -> RowFault:
    return RowFault(row, f"key-{row}", {"row": row}, field, message)
