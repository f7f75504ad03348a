"""Pruning: what is old enough, or one too many, and nothing else."""

import pytest

from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.ports.backend import Keep
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

MANY = 1000
LONG = 10.0**9


class PruneContract(Contract):
    """`Control.prune`."""

    @pytest.mark.parametrize("status", list(Status), ids=str)
    async def test_only_final_jobs_are_pruned(self, stage: Stage, status: Status) -> None:
        await stage.bring("a", status)
        await stage.clock.advance(10)
        expected = ["a"] if status in FINAL else []

        assert await stage.backend.prune([Keep(tuple(Status), 0, 0)], MANY) == expected

        assert (await stage.backend.get(["a"]) == [None]) is (status in FINAL)

    async def test_a_job_is_pruned_when_it_reached_the_age(self, stage: Stage) -> None:
        await _end(stage, "a")

        await stage.clock.advance(59.999)
        assert await stage.backend.prune([Keep((Status.COMPLETED,), 60, MANY)], MANY) == []
        await stage.clock.advance(0.001)
        assert await stage.backend.prune([Keep((Status.COMPLETED,), 60, MANY)], MANY) == ["a"]

    async def test_the_age_counts_from_the_end(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(100)
        await stage.settle(claim, Status.COMPLETED)

        assert await stage.backend.prune([Keep((Status.COMPLETED,), 60, MANY)], MANY) == []

    async def test_the_newest_stay(self, stage: Stage) -> None:
        await stage.put("a", "b", "c", "d")
        claims = {claim.envelope.id: claim for claim in await stage.take()}
        for job_id in ("c", "a", "d", "b"):
            await stage.settle(claims[job_id], Status.COMPLETED)
            await stage.clock.advance(1)

        assert await stage.backend.prune([Keep((Status.COMPLETED,), LONG, 2)], MANY) == ["c", "a"]
        assert {job.id for job in await stage.all_jobs()} == {"b", "d"}

    async def test_statuses_are_counted_together_or_apart(self, stage: Stage) -> None:
        for job_id, status in [("a", Status.COMPLETED), ("b", Status.FAILED), ("c", Status.COMPLETED)]:
            await _end(stage, job_id, status)
            await stage.clock.advance(1)
        apart = [Keep((Status.COMPLETED,), LONG, 1), Keep((Status.FAILED,), LONG, 1)]

        assert await stage.backend.prune(apart, MANY) == ["a"]
        together = [Keep((Status.COMPLETED, Status.FAILED), LONG, 1)]
        assert await stage.backend.prune(together, MANY) == ["b"]

    async def test_other_statuses_stay(self, stage: Stage) -> None:
        await _end(stage, "a", Status.FAILED)
        await stage.clock.advance(100)

        assert await stage.backend.prune([Keep((Status.COMPLETED,), 0, 0)], MANY) == []
        assert await stage.backend.prune([], MANY) == []

    async def test_no_more_than_the_limit_is_pruned_the_oldest_first(self, stage: Stage) -> None:
        for job_id in ("a", "b", "c"):
            await _end(stage, job_id)
            await stage.clock.advance(1)
        keeps = [Keep((Status.COMPLETED,), 0, 0)]

        assert await stage.backend.prune(keeps, 2) == ["a", "b"]
        assert await stage.backend.prune(keeps, 2) == ["c"]

    async def test_chunks_go_with_their_parent_only(self, stage: Stage) -> None:
        chunks = await stage.spawn("bulk", chunks=2)
        await stage.settle(chunks[0], Status.COMPLETED)
        await stage.clock.advance(100)
        keeps = [Keep(tuple(FINAL), 0, 0)]
        assert await stage.backend.prune(keeps, MANY) == []
        await stage.settle(chunks[1], Status.COMPLETED)

        assert await stage.backend.prune(keeps, MANY) == ["bulk"]

        assert await stage.all_jobs() == []
        assert await stage.backend.counts() == {}

    async def test_a_parent_whose_chunk_still_runs_stays(self, stage: Stage) -> None:
        parent = await stage.start("bulk", type="bulk")
        await stage.record(parent, children=(stage.chunk("bulk", 1),))
        chunk = await stage.take_one()
        await stage.settle(parent, Status.FAILED)
        await _end(stage, "other")
        await stage.clock.advance(10)
        keeps = [Keep(tuple(FINAL), 0, 0)]

        assert await stage.backend.prune(keeps, MANY) == ["other"]

        await stage.settle(chunk, Status.CANCELLED)
        assert await stage.backend.prune(keeps, MANY) == ["bulk"]

    async def test_results_past_their_time_go_and_their_jobs_stay(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.settle(claim, Status.COMPLETED, result=b"1", result_until=stage.after(10))
        await stage.clock.advance(10)

        assert await stage.backend.prune([], MANY) == []

        (result,) = await stage.backend.results(["a"])
        assert result is not None
        assert (result.result, result.expired) == (None, True)

    async def test_a_result_within_its_time_survives_a_prune(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.settle(claim, Status.COMPLETED, result=b"1", result_until=stage.after(10))

        await stage.backend.prune([], MANY)

        (result,) = await stage.backend.results(["a"])
        assert result is not None
        assert (result.result, result.expired) == (b"1", False)

    async def test_a_retried_job_is_pruned_by_its_second_end(self, stage: Stage) -> None:
        await _end(stage, "a", Status.FAILED)
        await stage.clock.advance(50)
        await stage.backend.retry(["a"])
        await stage.settle(await stage.take_one(), Status.FAILED)
        await stage.clock.advance(50)

        assert await stage.backend.prune([Keep((Status.FAILED,), 60, MANY)], MANY) == []
        assert await stage.backend.prune([Keep((Status.FAILED,), 50, MANY)], MANY) == ["a"]


async def _end(stage: Stage, job_id: str, status: Status = Status.COMPLETED) -> None:
    await stage.settle(await stage.start(job_id), status)
