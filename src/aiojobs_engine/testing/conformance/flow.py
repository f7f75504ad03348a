"""Jobs that wait for others: what is stored, what starts when, and what ends with what."""

from itertools import pairwise

import pytest

from aiojobs_engine.core.needs import Need, When
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Cancelled, Enqueued
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

_SETTLED = sorted(FINAL - {Status.EXPIRED, Status.PARTIAL})


class FlowContract(Contract):
    """Needs and batches, which may be bound in any way."""

    async def test_a_job_waits_for_what_it_needs(self, stage: Stage) -> None:
        await _chain(stage, "a", "b", "c")

        assert await stage.is_at("a", "b", "c") == [Status.PENDING, Status.WAITING, Status.WAITING]
        assert [claim.envelope.id for claim in await stage.take()] == ["a"]
        assert await stage.told("b") == ["JobCreated"]

    async def test_the_next_one_is_pending_in_the_write_in_which_the_former_completed(
        self, stage: Stage
    ) -> None:
        await _chain(stage, "a", "b", "c")
        await stage.clock.advance(5)

        await stage.settle(await stage.take_one(), Status.COMPLETED)

        assert await stage.is_at("a", "b", "c") == [Status.COMPLETED, Status.PENDING, Status.WAITING]
        assert (await stage.status("b")).scheduled_at is not None
        (queue,) = await stage.backend.queues()
        assert queue.oldest_age == 0
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert (await stage.take_one()).envelope.id == "c"

    @pytest.mark.parametrize("status", _SETTLED, ids=str)
    @pytest.mark.parametrize("when", list(When), ids=str)
    async def test_an_end_meets_a_need_or_cancels_the_job(
        self, stage: Stage, when: When, status: Status
    ) -> None:
        await stage.put("a")
        await stage.put("b", needs=(Need("a", when),))

        await stage.settle(await stage.take_one(), status)

        is_met = when is When.END or (status is Status.COMPLETED) == (when is When.SUCCESS)
        job = await stage.status("b")
        assert job.status is (Status.PENDING if is_met else Status.CANCELLED)
        if not is_met:
            assert job.error is not None
            assert (job.error.type, job.error.reason) == ("dependency", "dependency")
            assert "a" in job.error.message
            assert await stage.told("b") == ["JobCreated", "JobCancelled"]

    async def test_a_retry_of_the_former_is_no_end(self, stage: Stage) -> None:
        await _chain(stage, "a", "b")

        await stage.settle(await stage.take_one(), Status.RETRYING)

        assert await stage.is_at("b") == [Status.WAITING]
        await stage.backend.promote(10)
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert await stage.is_at("b") == [Status.PENDING]

    async def test_a_job_that_needs_several_starts_with_the_last(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.put("c", needs=(Need("a"), Need("b"), Need("a")))
        first, second = await stage.take()

        await stage.settle(second, Status.COMPLETED)

        assert await stage.is_at("c") == [Status.WAITING]
        await stage.settle(first, Status.COMPLETED)
        assert await stage.is_at("c") == [Status.PENDING]

    async def test_what_has_ended_already_counts_at_once(self, stage: Stage) -> None:
        await stage.settle(await stage.start("good"), Status.COMPLETED)
        await stage.settle(await stage.start("bad"), Status.FAILED)

        await stage.put("a", needs=(Need("good"), Need("bad", When.FAILURE)))
        await stage.put("b", needs=(Need("good"), Need("bad")))
        await stage.put("c", needs=(Need("b", When.END),))

        assert await stage.is_at("a", "b", "c") == [Status.PENDING, Status.CANCELLED, Status.PENDING]
        assert await stage.told("b") == ["JobCreated", "JobCancelled"]

    async def test_a_need_of_nothing_refuses_the_whole_call(self, stage: Stage) -> None:
        before = await stage.picture()

        answers = await stage.backend.enqueue(
            [stage.envelope("a"), stage.envelope("b", needs=(Need("a"), Need("nobody")))]
        )

        assert answers == [Enqueued(job_id, created=False, missing="nobody") for job_id in "ab"]
        assert await stage.picture() == before

    async def test_a_job_can_not_wait_for_one_behind_it(self, stage: Stage) -> None:
        answers = await stage.backend.enqueue(
            [stage.envelope("a", needs=(Need("b"),)), stage.envelope("b", needs=(Need("a"),))]
        )

        assert [answer.missing for answer in answers] == ["b", "b"]

    async def test_a_chain_that_is_dispatched_again_changes_nothing(self, stage: Stage) -> None:
        await _chain(stage, "a", "b")
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        before = await stage.picture()

        answers = await _chain(stage, "a", "b")

        assert answers == [Enqueued("a", created=False), Enqueued("b", created=False)]
        assert await stage.picture() == before

    async def test_a_failure_ends_the_rest_of_a_long_chain(self, stage: Stage) -> None:
        ids = [f"j{number:04}" for number in range(1500)]
        await _chain(stage, *ids)

        await stage.settle(await stage.take_one(), Status.FAILED)

        counts = await stage.backend.counts()
        assert counts == {("default", Status.FAILED): 1, ("default", Status.CANCELLED): 1499}

    async def test_a_cancelled_former_cancels_what_needs_it_and_starts_what_follows_any_end(
        self, stage: Stage
    ) -> None:
        await stage.put("a")
        await stage.put("b", needs=(Need("a"),))
        await stage.put("c", needs=(Need("b", When.END),))

        assert await stage.backend.cancel(["a"]) == [Cancelled(Status.PENDING, done=True)]

        assert await stage.is_at("a", "b", "c") == [Status.CANCELLED, Status.CANCELLED, Status.PENDING]

    async def test_a_job_that_waits_can_be_cancelled_and_then_retried(self, stage: Stage) -> None:
        await _chain(stage, "a", "b")

        assert await stage.backend.cancel(["b"]) == [Cancelled(Status.WAITING, done=True)]
        assert await stage.is_at("b") == [Status.CANCELLED]
        assert await stage.backend.retry(["b"]) == [True]
        assert await stage.is_at("b") == [Status.PENDING]
        await stage.settle((await stage.take())[0], Status.FAILED)
        assert await stage.is_at("b") == [Status.PROCESSING]

    async def test_an_expired_former_ends_its_chain(self, stage: Stage) -> None:
        await stage.put("a", expires_at=stage.after(1))
        await stage.put("b", needs=(Need("a"),))
        await stage.put("c", needs=(Need("a", When.FAILURE),))
        await stage.clock.advance(1)

        await stage.backend.promote(10)

        assert await stage.is_at("a", "b", "c") == [Status.EXPIRED, Status.CANCELLED, Status.PENDING]

    async def test_a_job_that_is_due_later_is_scheduled_when_its_needs_are_met(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.put("b", needs=(Need("a"),), scheduled_at=stage.after(60))

        await stage.settle(await stage.take_one(), Status.COMPLETED)

        assert await stage.is_at("b") == [Status.SCHEDULED]
        await stage.clock.advance(60)
        await stage.backend.promote(10)
        assert await stage.is_at("b") == [Status.PENDING]

    async def test_removing_a_former_cancels_what_waits_for_it(self, stage: Stage) -> None:
        await _chain(stage, "a", "b")

        assert await stage.backend.delete(["a"]) == [True]

        job = await stage.status("b")
        assert job.status is Status.CANCELLED
        assert job.error is not None
        assert "removed" in job.error.message

    async def test_a_job_that_waited_may_be_removed(self, stage: Stage) -> None:
        await _chain(stage, "a", "b")

        assert await stage.backend.delete(["b"]) == [True]

        assert await stage.settle(await stage.take_one(), Status.COMPLETED)

    async def test_a_bulk_job_ends_with_its_last_chunk_and_starts_what_waits_for_it(
        self, stage: Stage
    ) -> None:
        first, second = await stage.spawn()
        await stage.put("after", needs=(Need("bulk"),))
        await stage.put("sorry", needs=(Need("bulk", When.FAILURE),))
        await stage.settle(first, Status.COMPLETED, counters=Counters(9, 1, 0, 10))

        assert await stage.is_at("after", "sorry") == [Status.WAITING] * 2
        await stage.settle(second, Status.COMPLETED, counters=Counters(10, 0, 0, 10))

        assert await stage.is_at("bulk", "after", "sorry") == [
            Status.PARTIAL,
            Status.CANCELLED,
            Status.PENDING,
        ]


async def _chain(stage: Stage, *job_ids: str) -> list[Enqueued]:
    envelopes = [stage.envelope(job_ids[0])]
    for before, job_id in pairwise(job_ids):
        envelopes.append(stage.envelope(job_id, needs=(Need(before),)))
    return await stage.backend.enqueue(envelopes)
