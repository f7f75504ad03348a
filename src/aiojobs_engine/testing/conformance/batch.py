"""Batches and their members: counted in the same write, ended once, however they nest."""

import pytest

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobCompleted, JobFailed
from aiojobs_engine.core.needs import BATCH, NO_MEMBER_SUCCEEDED, Need, When
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Cancelled, Claim, Enqueued, JobFilter, Keep, LeaseStatus
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

_BAD = sorted(FINAL - {Status.EXPIRED, Status.COMPLETED})


class BatchContract(Contract):
    """Batches and their members."""

    async def test_a_batch_waits_for_its_members(self, stage: Stage) -> None:
        first, second = await _batch(stage)

        job = await stage.status("batch")
        assert (job.status, job.total, job.processed) == (Status.WAITING, 2, 0)
        assert job.started_at is not None
        await stage.settle(first, Status.COMPLETED, counters=Counters(5, 5, 0, 10))
        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.failed, job.total) == (Status.WAITING, 1, 0, 2)
        await stage.settle(second, Status.COMPLETED)
        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.total) == (Status.COMPLETED, 2, 2)
        event = (await stage.events())[-1]
        assert isinstance(event, JobCompleted)
        assert (event.job_id, event.processed) == ("batch", 2)

    async def test_a_batch_can_not_be_claimed(self, stage: Stage) -> None:
        await stage.backend.enqueue([_parent(stage), stage.envelope("m1", parent_id="batch")])

        claims = await stage.take(types=("work", "batch"))

        assert [claim.envelope.id for claim in claims] == ["m1"]

    @pytest.mark.parametrize("status", _BAD, ids=str)
    async def test_any_other_end_of_a_member_is_a_failure(self, stage: Stage, status: Status) -> None:
        first, second = await _batch(stage)

        await stage.settle(first, status)
        await stage.settle(second, Status.COMPLETED)

        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.failed) == (Status.PARTIAL, 1, 1)

    async def test_a_batch_in_which_nothing_succeeded_says_so(self, stage: Stage) -> None:
        for claim in await _batch(stage):
            await stage.settle(claim, Status.FAILED)

        job = await stage.status("batch")
        assert (job.status, job.error) == (Status.FAILED, NO_MEMBER_SUCCEEDED)
        event = (await stage.events())[-1]
        assert isinstance(event, JobFailed)
        assert (event.error, event.reason) == (NO_MEMBER_SUCCEEDED.message, NO_MEMBER_SUCCEEDED.reason)
        dead = await stage.all_jobs(JobFilter(dead=True))
        assert {job.id for job in dead} == {"m1", "m2"}

    async def test_an_empty_batch_completes_at_once(self, stage: Stage) -> None:
        await stage.backend.enqueue([_parent(stage), stage.envelope("after", needs=(Need("batch"),))])

        assert await stage.is_at("batch", "after") == [Status.COMPLETED, Status.PENDING]

    async def test_callbacks_of_a_batch_start_once_each(self, stage: Stage) -> None:
        first, second, third = await _batch(stage, 3)
        for when in When:
            await stage.put(when.value, needs=(Need("batch", when),))

        await stage.settle(first, Status.FAILED)

        assert await stage.is_at(*When) == [Status.WAITING, Status.PENDING, Status.WAITING]
        await stage.backend.settle([stage.settlement(each, Status.FAILED) for each in (second, third)])
        assert await stage.is_at(*When) == [Status.CANCELLED, Status.PENDING, Status.PENDING]
        assert await stage.told("failure") == ["JobCreated"]

    async def test_a_batch_without_failure_needs_no_catching(self, stage: Stage) -> None:
        claims = await _batch(stage)
        for when in When:
            await stage.put(when.value, needs=(Need("batch", when),))

        await stage.backend.settle([stage.settlement(claim, Status.COMPLETED) for claim in claims])

        assert await stage.is_at(*When) == [Status.PENDING, Status.CANCELLED, Status.PENDING]

    async def test_members_join_while_the_batch_waits(self, stage: Stage) -> None:
        (first,) = await _batch(stage, 1)

        await stage.put("m2", parent_id="batch")
        await stage.settle(first, Status.COMPLETED)

        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.total) == (Status.WAITING, 1, 2)
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert await stage.is_at("batch") == [Status.COMPLETED]

    async def test_a_member_that_is_dispatched_again_is_counted_once(self, stage: Stage) -> None:
        await _batch(stage, 1)
        await stage.put("m2", parent_id="batch")

        assert await stage.put("m2", parent_id="batch") == [Enqueued("m2", created=False)]

        assert (await stage.status("batch")).total == 2

    async def test_a_batch_that_ended_or_is_cancelled_takes_no_members(self, stage: Stage) -> None:
        (claim,) = await _batch(stage, 1)
        await stage.backend.cancel(["batch"])

        refused = [Enqueued("m2", created=False, missing="batch")]
        assert await stage.put("m2", parent_id="batch") == refused
        await stage.settle(claim, Status.COMPLETED)
        assert await stage.put("m2", parent_id="batch") == refused

    @pytest.mark.parametrize("parent", ["nobody", "work"])
    async def test_only_a_batch_takes_members(self, stage: Stage, parent: str) -> None:
        await stage.put("work")

        assert await stage.put("m", parent_id=parent) == [Enqueued("m", created=False, missing=parent)]

    async def test_cancelling_a_batch_cancels_its_members(self, stage: Stage) -> None:
        first, _ = await _batch(stage)
        await stage.put("m3", parent_id="batch")
        await stage.put("m4", parent_id="batch", needs=(Need("m3"),))

        assert await stage.backend.cancel(["batch"]) == [Cancelled(Status.WAITING, done=True)]

        assert await stage.is_at("m3", "m4", "batch") == [Status.CANCELLED, Status.CANCELLED, Status.WAITING]
        assert await stage.backend.extend([first.lease], 30) == [LeaseStatus(held=True, cancelling=True)]

    async def test_a_cancelled_batch_ends_with_the_last_run(self, stage: Stage) -> None:
        first, second = await _batch(stage)
        await stage.backend.cancel(["batch"])

        await stage.settle(first, Status.CANCELLED)
        assert await stage.is_at("batch") == [Status.WAITING]
        await stage.settle(second, Status.COMPLETED)

        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.failed) == (Status.CANCELLED, 1, 1)

    async def test_a_member_can_be_cancelled_alone(self, stage: Stage) -> None:
        (first,) = await _batch(stage, 1)
        await stage.put("m2", parent_id="batch")

        assert await stage.backend.cancel(["m2"]) == [Cancelled(Status.PENDING, done=True)]
        await stage.settle(first, Status.COMPLETED)

        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.failed) == (Status.PARTIAL, 1, 1)

    async def test_a_member_that_is_replayed_in_time_is_open_again(self, stage: Stage) -> None:
        first, second = await _batch(stage)
        await stage.put("sorry", needs=(Need("batch", When.FAILURE),))
        await stage.settle(first, Status.FAILED)

        assert await stage.backend.retry(["m1"]) == [True]

        job = await stage.status("batch")
        assert (job.failed, job.total) == (0, 2)
        await stage.settle(second, Status.COMPLETED)
        assert await stage.is_at("batch") == [Status.WAITING]
        again = {claim.envelope.id: claim for claim in await stage.take()}
        await stage.settle(again["m1"], Status.COMPLETED)
        assert (await stage.status("batch")).status is Status.COMPLETED
        assert await stage.is_at("sorry") == [Status.PROCESSING]

    async def test_a_member_of_a_cancelled_batch_is_replayed_outside_of_it(self, stage: Stage) -> None:
        first, second = await _batch(stage)
        await stage.settle(first, Status.FAILED)
        await stage.backend.cancel(["batch"])
        await stage.settle(second, Status.CANCELLED)
        ended = await stage.status("batch")
        assert ended.status is Status.CANCELLED

        assert await stage.backend.retry(["m1"]) == [True]
        await stage.settle(await stage.take_one(), Status.COMPLETED)

        assert await stage.status("batch") == ended
        assert await stage.backend.delete(["batch"]) == [True]
        assert await stage.is_at("m1") == [Status.COMPLETED]

    async def test_a_batch_itself_is_not_retried(self, stage: Stage) -> None:
        (claim,) = await _batch(stage, 1)
        await stage.settle(claim, Status.FAILED)

        assert await stage.backend.retry(["batch"]) == [False]
        assert not await stage.backend.reopen("batch", [stage.chunk("batch", 1)])

    async def test_batches_nest(self, stage: Stage) -> None:
        await stage.backend.enqueue(
            [
                _parent(stage, "outer"),
                _parent(stage, "inner", parent_id="outer"),
                stage.envelope("m1", parent_id="inner"),
                stage.envelope("m2", parent_id="outer"),
            ]
        )
        first, second = await stage.take()
        await stage.settle(second, Status.COMPLETED)

        assert await stage.is_at("outer", "inner") == [Status.WAITING] * 2
        await stage.settle(first, Status.COMPLETED)

        assert await stage.is_at("outer", "inner") == [Status.COMPLETED] * 2
        assert (await stage.status("outer")).succeeded == 2

    async def test_cancelling_reaches_nested_batches(self, stage: Stage) -> None:
        await stage.backend.enqueue(
            [
                _parent(stage, "outer"),
                _parent(stage, "inner", parent_id="outer"),
                stage.envelope("m1", parent_id="inner"),
                stage.envelope("m2", parent_id="inner", needs=(Need("m1"),)),
            ]
        )

        await stage.backend.cancel(["outer"])

        assert await stage.is_at("outer", "inner", "m1", "m2") == [Status.CANCELLED] * 4

    async def test_a_chain_inside_a_batch_ends_in_it_when_it_breaks(self, stage: Stage) -> None:
        await stage.backend.enqueue(
            [
                _parent(stage),
                stage.envelope("m1", parent_id="batch"),
                stage.envelope("m2", parent_id="batch", needs=(Need("m1"),)),
                stage.envelope("m3", parent_id="batch", needs=(Need("m2"),)),
            ]
        )

        await stage.settle(await stage.take_one(), Status.FAILED)

        job = await stage.status("batch")
        assert (job.status, job.failed, job.total) == (Status.FAILED, 3, 3)

    async def test_a_batch_whose_members_wait_in_vain_ends_at_once(self, stage: Stage) -> None:
        await stage.settle(await stage.start("bad"), Status.FAILED)
        needs = (Need("bad"),)

        await stage.backend.enqueue(
            [_parent(stage), *[stage.envelope(f"m{n}", parent_id="batch", needs=needs) for n in range(3)]]
        )

        assert await stage.is_at("batch", "m0", "m2") == [Status.FAILED, Status.CANCELLED, Status.CANCELLED]

    async def test_a_batch_goes_with_its_members_and_they_with_it_alone(self, stage: Stage) -> None:
        await stage.backend.enqueue(
            [
                _parent(stage, "outer"),
                _parent(stage, "inner", parent_id="outer"),
                stage.envelope("m1", parent_id="inner"),
                stage.envelope("after", needs=(Need("m1"),)),
            ]
        )
        assert await stage.backend.delete(["m1", "inner"]) == [False, False]
        claim = await stage.take_one()
        assert await stage.backend.delete(["outer"]) == [False]
        await stage.settle(claim, Status.PENDING)

        assert await stage.backend.delete(["outer"]) == [True]

        assert [job.id for job in await stage.all_jobs()] == ["after"]
        assert await stage.is_at("after") == [Status.CANCELLED]

    async def test_pruning_takes_a_batch_with_its_members(self, stage: Stage) -> None:
        for claim in await _batch(stage):
            await stage.settle(claim, Status.COMPLETED)
        await stage.clock.advance(10)

        assert await stage.backend.prune([Keep((Status.COMPLETED,), 5, 100)], 10) == ["batch"]
        assert await stage.all_jobs() == []

    async def test_a_lost_member_counts_once(self, stage: Stage) -> None:
        (lost,) = await _batch(stage, 1)
        await stage.clock.advance(31)
        (rescued,) = await stage.backend.rescue("w2", 10, 30)

        good = stage.settlement(rescued, Status.COMPLETED)
        assert await stage.backend.settle([stage.settlement(lost, Status.COMPLETED), good, good]) == [
            False,
            True,
            True,
        ]

        job = await stage.status("batch")
        assert (job.status, job.succeeded, job.total) == (Status.COMPLETED, 1, 1)


def _parent(stage: Stage, job_id: str = "batch", **fields: str) -> Envelope:
    return stage.envelope(job_id, type="batch", kind=BATCH, strategy="batch", **fields)


async def _batch(stage: Stage, members: int = 2) -> list[Claim]:
    """A batch of running members, in a store where nothing else is pending."""
    ids = [f"m{number}" for number in range(1, members + 1)]
    await stage.backend.enqueue(
        [_parent(stage), *[stage.envelope(job_id, parent_id="batch") for job_id in ids]]
    )
    return await stage.take(members)
