"""Exports: bulk jobs that run again when their last chunk has ended."""

import pytest

from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, ErrorInfo
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

ENDS = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.DISCARDED)


class GatherContract(Contract):
    """What the store does with a parent of a kind that gathers what its chunks made."""

    @pytest.mark.parametrize("end", ENDS)
    async def test_a_parent_that_gathers_runs_again_after_its_last_chunk(
        self, stage: Stage, end: Status
    ) -> None:
        first, second = await stage.spawn(rows=0, kind="export")
        await stage.settle(first, Status.COMPLETED, counters=Counters(7, 0, 0, 7))
        assert (await stage.status("bulk")).status is Status.WAITING
        assert await stage.take() == []

        await stage.settle(second, end, counters=Counters(5, 0, 0, 9))

        job = await stage.status("bulk")
        assert (job.status, job.processed, job.total) == (Status.PENDING, 12, 12)
        again = await stage.take_one()
        assert (again.envelope.id, again.counters) == ("bulk", Counters(12, 0, 0, 12))
        await stage.settle(again, Status.COMPLETED, result=b"3")
        job = await stage.status("bulk")
        assert (job.status, job.processed, job.total) == (Status.COMPLETED, 12, 12)
        assert (await stage.told("bulk"))[-2:] == ["JobStarted", "JobCompleted"]

    async def test_it_runs_again_at_once_when_its_chunks_ended_before_it_waited(self, stage: Stage) -> None:
        claim = await stage.start("bulk", type="bulk", kind="export", strategy="batch")
        await stage.record(claim, children=(stage.chunk("bulk", 1, rows=0),))
        chunk = await stage.take_one()
        await stage.settle(chunk, Status.COMPLETED, counters=Counters(4, 0, 0, 4))
        job = await stage.status("bulk")
        assert (job.status, job.processed, job.total) == (Status.PROCESSING, 4, 4)

        await stage.settle(claim, Status.WAITING)

        assert (await stage.take_one()).envelope.id == "bulk"

    async def test_the_run_that_gathers_is_retried_and_fails_as_any_other(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1, rows=0, kind="export")
        await stage.settle(chunk, Status.COMPLETED, counters=Counters(4, 0, 0, 4))
        again = await stage.take_one()
        await stage.settle(again, Status.RETRYING, due_at=stage.clock.now())
        await stage.backend.promote(10)
        last = await stage.take_one()
        assert (await stage.status("bulk")).processed == 4

        await stage.settle(last, Status.FAILED, error=ErrorInfo("E", "full"))

        job = await stage.status("bulk")
        assert (job.status, job.processed, job.total) == (Status.FAILED, 4, 4)

    async def test_a_cancelled_one_gathers_nothing(self, stage: Stage) -> None:
        running, _ = await stage.spawn(rows=0, kind="export")

        await stage.backend.cancel(["bulk"])
        await stage.settle(running, Status.CANCELLED, counters=Counters(2, 0, 0, 2))

        assert (await stage.status("bulk")).status in (Status.WAITING, Status.CANCELLED)
        assert await stage.take() == []

    async def test_many_chunks_of_several_parents_end_in_one_write(self, stage: Stage) -> None:
        claims = [
            *await stage.spawn("a", kind="export", rows=0),
            *await stage.spawn("b", kind="export", rows=0),
        ]

        await stage.backend.settle(
            [stage.settlement(claim, Status.COMPLETED, counters=Counters(1, 0, 0, 1)) for claim in claims]
        )

        assert sorted(claim.envelope.id for claim in await stage.take()) == ["a", "b"]
