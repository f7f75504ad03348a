"""Claiming: who gets which job, in which order."""

from aiojobs_engine.core.events import JobStarted
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.limits import PRIORITY
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class ClaimContract(Contract):
    """`Backend.claim`."""

    async def test_a_claimed_job_is_processing_under_its_first_token(self, stage: Stage) -> None:
        await stage.put("a")

        claim = await stage.take_one(worker="w7")

        status = await stage.status("a")
        assert (status.status, status.worker) == (Status.PROCESSING, "w7")
        assert status.started_at == moment(claim.started_at) == moment(stage.clock.now())
        assert (claim.lease.job_id, claim.lease.queue, claim.lease.token) == ("a", "default", 1)
        assert (claim.attempts, claim.crashes, claim.epoch, claim.cursor) == (0, 0, 0, None)
        assert (claim.counters, claim.cancelling, claim.lost_worker) == (Counters(), False, None)

    async def test_the_start_of_a_run_is_told(self, stage: Stage) -> None:
        await stage.start("a", total=4)

        event = (await stage.events())[-1]
        assert isinstance(event, JobStarted)
        assert (event.job_id, event.status, event.worker) == ("a", Status.PROCESSING, "w1")
        assert (event.attempt, event.total, event.at) == (1, 4, stage.clock.now())

    async def test_a_claimed_job_is_not_claimed_again(self, stage: Stage) -> None:
        await stage.start("a")

        assert await stage.take(worker="w2") == []

    async def test_the_token_rises_by_one_with_each_claim(self, stage: Stage) -> None:
        await stage.put("a")

        tokens: list[int] = []
        for _ in range(3):
            claim = await stage.take_one()
            tokens.append(claim.lease.token)
            await stage.settle(claim, Status.PENDING)

        assert tokens == [1, 2, 3]

    async def test_higher_priority_comes_first_then_the_order_of_acceptance(self, stage: Stage) -> None:
        for job_id, priority in [("a", 0), ("b", -5), ("c", PRIORITY), ("d", 0), ("e", 1), ("f", -PRIORITY)]:
            await stage.put(job_id, priority=priority)

        assert _ids(await stage.take()) == ["c", "e", "a", "d", "b", "f"]

    async def test_the_order_holds_across_queues_and_types(self, stage: Stage) -> None:
        await stage.put("a", queue="q1", type="t1")
        await stage.put("b", queue="q2", type="t2", priority=1)
        await stage.put("c", queue="q1", type="t2")
        await stage.put("d", queue="q2", type="t1", priority=1)

        claims = await stage.take(queues=["q2", "q1"], types=["t2", "t1"])

        assert _ids(claims) == ["b", "d", "a", "c"]

    async def test_no_more_than_the_limit_is_claimed(self, stage: Stage) -> None:
        await stage.put("a", "b", "c")

        assert _ids(await stage.take(2)) == ["a", "b"]
        assert _ids(await stage.take(2)) == ["c"]
        assert _ids(await stage.take(2)) == []

    async def test_a_limit_of_nothing_claims_nothing(self, stage: Stage) -> None:
        await stage.put("a")

        assert await stage.take(0) == []
        assert await stage.is_at("a") == [Status.PENDING]

    async def test_jobs_of_other_types_and_queues_are_left(self, stage: Stage) -> None:
        await stage.put("other-type", type="other")
        await stage.put("other-queue", queue="other")
        await stage.put("mine")

        assert _ids(await stage.take()) == ["mine"]
        assert await stage.is_at("other-type", "other-queue") == [Status.PENDING, Status.PENDING]

    async def test_a_watch_of_nothing_claims_nothing(self, stage: Stage) -> None:
        await stage.put("a")

        assert await stage.take(types=[]) == await stage.take(queues=[]) == []

    async def test_a_queue_named_twice_hands_out_each_job_once(self, stage: Stage) -> None:
        await stage.put("a", "b")

        assert _ids(await stage.take(queues=["default"] * 2, types=["work", "work"])) == ["a", "b"]

    async def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.put("b", queue="other")
        await stage.backend.pause_queue("default")

        assert _ids(await stage.take(queues=["default", "other"])) == ["b"]

        await stage.backend.resume_queue("default")
        assert _ids(await stage.take()) == ["a"]

    async def test_a_job_that_went_back_keeps_its_place(self, stage: Stage) -> None:
        await stage.put("a", "b", "c")
        first = await stage.take_one()

        await stage.settle(first, Status.PENDING)

        assert _ids(await stage.take()) == ["a", "b", "c"]

    async def test_a_job_that_is_too_late_expires_instead(self, stage: Stage) -> None:
        await stage.put("late", expires_at=stage.after(5))
        await stage.put("good", expires_at=stage.after(5.001))
        await stage.clock.advance(5)

        assert _ids(await stage.take()) == ["good"]
        assert await stage.is_at("late") == [Status.EXPIRED]
        assert await stage.told("late") == ["JobCreated", "JobExpired"]
        assert (await stage.status("late")).finished_at == moment(stage.clock.now())

    async def test_jobs_that_expired_take_no_place_in_the_limit(self, stage: Stage) -> None:
        await stage.put(*[f"late-{number}" for number in range(10)], expires_at=stage.clock.now())
        await stage.put("good")

        assert _ids(await stage.take(1)) == ["good"]

    async def test_a_released_job_can_still_expire(self, stage: Stage) -> None:
        claim = await stage.start("a", expires_at=stage.after(5))
        await stage.settle(claim, Status.PENDING)
        await stage.clock.advance(5)

        assert await stage.take() == []
        assert await stage.is_at("a") == [Status.EXPIRED]

    async def test_a_running_job_does_not_expire(self, stage: Stage) -> None:
        claim = await stage.start("a", expires_at=stage.after(5))
        await stage.clock.advance(10)
        await stage.backend.promote(100)

        assert await stage.settle(claim, Status.COMPLETED)
        assert await stage.is_at("a") == [Status.COMPLETED]

    async def test_each_run_has_its_own_start(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(5)
        await stage.settle(claim, Status.PENDING)
        assert (await stage.status("a")).started_at == moment(claim.started_at)
        await stage.clock.advance(5)

        again = await stage.take_one()

        assert again.started_at == claim.started_at + 10_000
        assert (await stage.status("a")).started_at == moment(again.started_at)

    async def test_a_claim_tells_the_counted_attempts_and_crashes(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.settle(claim, Status.RETRYING, attempts=3, crashes=2, due_at=stage.clock.now())
        await stage.backend.promote(100)

        again = await stage.take_one()

        assert (again.attempts, again.crashes) == (3, 2)
        assert [event.attempt for event in await stage.events() if isinstance(event, JobStarted)] == [1, 4]

    async def test_a_new_run_starts_from_the_last_checkpoint(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(4, 1, 1, 10), cursor=b"5")
        await stage.record(claim, counters=Counters(8, 1, 1, 12))
        await stage.settle(claim, Status.PENDING)

        again = await stage.take_one()

        assert (again.cursor, again.counters) == (b"5", Counters(4, 1, 1, 12))
        assert (await stage.status("a")).processed == 5


def _ids(claims: list[Claim]) -> list[str]:
    return [claim.envelope.id for claim in claims]
