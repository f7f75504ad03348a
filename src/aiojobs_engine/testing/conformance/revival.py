"""What a retry brings back: those that were cancelled for want of the job, and the batch of a member."""

from itertools import pairwise

import pytest

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.needs import BATCH, Need, When
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

W, C = Status.WAITING, Status.CANCELLED


class RevivalContract(Contract):
    """`retry` of jobs that others need, and of members."""

    async def test_a_retry_brings_back_what_was_cancelled_behind_the_job(self, stage: Stage) -> None:
        await _chain(stage, "a", "b", "c")
        await stage.settle(await stage.take_one(), Status.FAILED)
        assert await stage.is_at("a", "b", "c") == [Status.FAILED, C, C]
        await stage.clock.advance(60)

        assert await stage.backend.retry(["a"]) == [True]

        assert await stage.is_at("a", "b", "c") == [Status.PENDING, W, W]
        job = await stage.status("b")
        assert (job.epoch, job.error, job.finished_at, job.attempts) == (1, None, None, 0)
        assert await stage.told("b") == ["JobCreated", "JobCancelled", "JobRetrying"]
        told = [event for event in await stage.events() if event.job_id == "b"][-1]
        assert isinstance(told, JobRetrying)
        assert (told.status, told.due_at) == (W, stage.clock.now())
        for job_id in "abc":
            claim = await stage.take_one()
            assert claim.envelope.id == job_id
            await stage.settle(claim, Status.COMPLETED)

    async def test_what_was_brought_back_is_cancelled_by_another_failure_and_comes_back_again(
        self, stage: Stage
    ) -> None:
        await _chain(stage, "a", "b", "c")
        for _ in range(3):
            await stage.settle(await stage.take_one(), Status.FAILED)
            assert await stage.is_at("b", "c") == [C, C]
            await stage.backend.retry(["a"])

        await stage.settle(await stage.take_one(), Status.COMPLETED)

        assert await stage.is_at("a", "b", "c") == [Status.COMPLETED, Status.PENDING, W]
        assert (await stage.status("c")).epoch == 3

    async def test_a_long_chain_comes_back(self, stage: Stage) -> None:
        ids = [f"j{number:04}" for number in range(600)]
        await _chain(stage, *ids)
        await stage.settle(await stage.take_one(), Status.FAILED)

        assert await stage.backend.retry(["j0000"]) == [True]

        assert await stage.backend.counts() == {("default", Status.PENDING): 1, ("default", W): 599}

    async def test_what_was_bound_to_a_failed_job_comes_back_too(self, stage: Stage) -> None:
        await stage.settle(await stage.start("a"), Status.DISCARDED)
        await stage.put("b", needs=(Need("a"),))
        assert await stage.is_at("b") == [C]

        await stage.backend.retry(["a"])

        assert await stage.is_at("b") == [W]
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert await stage.is_at("b") == [Status.PENDING]

    async def test_a_job_of_which_another_need_is_in_vain_stays_until_that_is_retried_too(
        self, stage: Stage
    ) -> None:
        await stage.put("a", "b")
        await stage.put("c", needs=(Need("a"), Need("b"), Need("a", When.END)))
        for claim in await stage.take():
            await stage.settle(claim, Status.FAILED)

        await stage.backend.retry(["a"])
        assert await stage.is_at("c") == [C]
        await stage.backend.retry(["b"])

        assert await stage.is_at("c") == [W]
        first, second = await stage.take()
        await stage.settle(first, Status.COMPLETED)
        assert await stage.is_at("c") == [W]
        await stage.settle(second, Status.COMPLETED)
        assert await stage.is_at("c") == [Status.PENDING]

    async def test_a_need_that_was_met_long_ago_counts_though_its_job_is_gone(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.put("c", needs=(Need("a"), Need("b")))
        good, bad = await stage.take()
        await stage.settle(good, Status.COMPLETED)
        await stage.settle(bad, Status.FAILED)
        await stage.backend.delete(["a"])

        await stage.backend.retry(["b"])

        assert await stage.is_at("c") == [W]
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert await stage.is_at("c") == [Status.PENDING]

    async def test_a_job_that_a_person_cancelled_stays_cancelled(self, stage: Stage) -> None:
        await _chain(stage, "a", "b", "c")
        await stage.backend.cancel(["b"])
        await stage.settle(await stage.take_one(), Status.FAILED)

        await stage.backend.retry(["a"])

        assert await stage.is_at("b", "c") == [C, C]

    async def test_a_job_that_was_retried_by_itself_waits_for_nothing_any_more(self, stage: Stage) -> None:
        await _chain(stage, "a", "b")
        await stage.settle(await stage.take_one(), Status.FAILED)
        await stage.backend.retry(["b"])
        await stage.backend.cancel(["b"])

        await stage.backend.retry(["a"])

        assert await stage.is_at("b") == [C]

    async def test_a_job_whose_former_was_removed_does_not_come_back(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.put("c", needs=(Need("a"), Need("b")))
        await stage.backend.delete(["a"])
        await stage.settle(await stage.take_one(), Status.FAILED)

        await stage.backend.retry(["b"])

        assert await stage.is_at("c") == [C]

    async def test_what_follows_a_failure_does_not_run_again(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.put("sorry", needs=(Need("a", When.FAILURE),))
        await stage.put("over", needs=(Need("a", When.END),))
        await stage.settle(await stage.take_one(), Status.FAILED)
        for claim in await stage.take():
            await stage.settle(claim, Status.COMPLETED)

        await stage.backend.retry(["a"])

        assert await stage.is_at("sorry", "over") == [Status.COMPLETED] * 2

    async def test_what_comes_back_does_not_expire_again(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.put("b", needs=(Need("a"),), expires_at=stage.after(5))
        await stage.settle(await stage.take_one(), Status.FAILED)
        await stage.clock.advance(60)

        await stage.backend.retry(["a"])
        await stage.settle(await stage.take_one(), Status.COMPLETED)

        assert (await stage.take_one()).envelope.id == "b"

    async def test_jobs_that_are_retried_together_are_all_retried(self, stage: Stage) -> None:
        await _chain(stage, "a", "b", "c")
        await stage.settle(await stage.take_one(), Status.FAILED)

        assert await stage.backend.retry(["a", "b", "a"]) == [True, True, False]

        assert await stage.is_at("a", "b", "c") == [Status.PENDING, Status.PENDING, W]

    @pytest.mark.parametrize("good", [0, 1])
    async def test_a_batch_that_failed_waits_again_for_a_member_that_is_retried(
        self, stage: Stage, good: int
    ) -> None:
        await stage.backend.enqueue(
            [
                _batch(stage),
                stage.envelope("m1", parent_id="batch"),
                stage.envelope("m2", parent_id="batch", needs=(Need("m1"),)),
                *[stage.envelope(f"g{number}", parent_id="batch") for number in range(good)],
                stage.envelope("all", needs=(Need("batch"),)),
                stage.envelope("some", needs=(Need("batch", When.FAILURE),)),
                stage.envelope("over", needs=(Need("batch", When.END),)),
            ]
        )
        bad, *claims = await stage.take()
        await stage.settle(bad, Status.FAILED)
        while claims := [*claims, *await stage.take()]:
            await stage.settle(claims.pop(0), Status.COMPLETED)
        job = await stage.status("batch")
        ended = Status.PARTIAL if good else Status.FAILED
        assert (job.status, job.succeeded, job.failed, job.total) == (ended, good, 2, 2 + good)
        assert await stage.is_at("all", "some", "over") == [C, Status.COMPLETED, Status.COMPLETED]

        await stage.backend.retry(["m1"])

        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.failed, job.total) == (W, good, 0, 2 + good)
        assert (job.epoch, job.error, job.finished_at) == (1, None, None)
        assert await stage.is_at("m1", "m2", "all") == [Status.PENDING, W, W]
        assert (await stage.status("m2")).parent_id == "batch"
        assert (await stage.told("batch"))[-1] == "JobRetrying"
        for _ in range(2):
            await stage.settle(await stage.take_one(), Status.COMPLETED)
        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.failed) == (Status.COMPLETED, 2 + good, 0)
        assert await stage.is_at("all", "some", "over") == [Status.PENDING, *[Status.COMPLETED] * 2]

    async def test_nested_batches_wait_again_from_the_inside_out(self, stage: Stage) -> None:
        await stage.backend.enqueue(
            [
                _batch(stage, "outer"),
                _batch(stage, "inner", parent_id="outer"),
                stage.envelope("m1", parent_id="inner"),
                stage.envelope("next", parent_id="outer", needs=(Need("inner"),)),
            ]
        )
        await stage.settle(await stage.take_one(), Status.FAILED)
        assert await stage.is_at("outer", "inner", "next") == [Status.FAILED, Status.FAILED, C]

        await stage.backend.retry(["m1"])

        assert await stage.is_at("outer", "inner", "m1", "next") == [W, W, Status.PENDING, W]
        job = await stage.status("outer")
        assert (job.succeeded, job.failed, job.total) == (0, 0, 2)
        for _ in range(2):
            await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert await stage.is_at("outer", "inner") == [Status.COMPLETED] * 2

    async def test_a_chain_through_a_batch_comes_back(self, stage: Stage) -> None:
        await stage.backend.enqueue(
            [
                stage.envelope("a"),
                _batch(stage),
                stage.envelope("m1", parent_id="batch", needs=(Need("a"),)),
                stage.envelope("m2", parent_id="batch", needs=(Need("a"),)),
                stage.envelope("z", needs=(Need("batch"),)),
            ]
        )
        await stage.settle(await stage.take_one(), Status.FAILED)
        assert await stage.is_at("batch", "m1", "m2", "z") == [Status.FAILED, C, C, C]

        await stage.backend.retry(["a"])

        assert await stage.is_at("batch", "m1", "m2", "z") == [W] * 4
        for _ in range(4):
            await stage.settle((await stage.take(1))[0], Status.COMPLETED)
        assert await stage.is_at("batch", "z") == [Status.COMPLETED] * 2

    async def test_a_batch_that_waits_again_can_be_cancelled_and_pruned(self, stage: Stage) -> None:
        await stage.backend.enqueue([_batch(stage), stage.envelope("m1", parent_id="batch")])
        await stage.settle(await stage.take_one(), Status.FAILED)
        await stage.backend.retry(["m1"])

        await stage.backend.cancel(["batch"])

        assert await stage.is_at("batch", "m1") == [C, C]
        assert await stage.backend.delete(["batch"]) == [True]
        assert await stage.all_jobs() == []


def _batch(stage: Stage, job_id: str = "batch", **fields: str) -> Envelope:
    return stage.envelope(job_id, type="batch", kind=BATCH, strategy="batch", **fields)


async def _chain(stage: Stage, *job_ids: str) -> None:
    envelopes = [stage.envelope(job_ids[0])]
    for before, job_id in pairwise(job_ids):
        envelopes.append(stage.envelope(job_id, needs=(Need(before),)))
    await stage.backend.enqueue(envelopes)
