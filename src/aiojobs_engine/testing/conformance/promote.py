"""Promoting: what is due becomes pending, what is too late expires."""

import pytest

from aiojobs_engine.core.events import JobExpired
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.state import TRANSITIONS, Status, Trigger
from aiojobs_engine.ports.backend import Promoted
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

CAN_EXPIRE = sorted(start for (start, trigger) in TRANSITIONS if trigger is Trigger.EXPIRE)


class PromoteContract(Contract):
    """`Backend.promote`."""

    async def test_a_job_is_promoted_at_its_very_millisecond(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.after(10))

        await stage.clock.advance(9.999)
        assert await stage.backend.promote(10) == Promoted(0, stage.after(0.001))
        await stage.clock.advance(0.001)
        assert await stage.backend.promote(10) == Promoted(1, None)
        assert await stage.is_at("a") == [Status.PENDING]

    async def test_becoming_pending_is_told_to_nobody(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.after(1))
        await stage.clock.advance(1)

        await stage.backend.promote(10)

        assert await stage.told("a") == ["JobCreated"]
        assert (await stage.status("a")).scheduled_at == moment(stage.clock.now())

    async def test_nothing_is_promoted_of_an_empty_store(self, stage: Stage) -> None:
        assert await stage.backend.promote(10) == Promoted(0, None)

    async def test_the_next_due_job_is_told(self, stage: Stage) -> None:
        await stage.put("later", scheduled_at=stage.after(20))
        await stage.put("sooner", scheduled_at=stage.after(10))
        claim = await stage.start("retried")
        await stage.settle(claim, Status.RETRYING, due_at=stage.after(15))

        assert await stage.backend.promote(10) == Promoted(0, stage.after(10))
        await stage.clock.advance(10)
        assert await stage.backend.promote(10) == Promoted(1, stage.after(5))

    async def test_no_more_than_the_limit_is_promoted_and_the_rest_is_due(self, stage: Stage) -> None:
        await stage.put(*[f"a{number}" for number in range(5)], scheduled_at=stage.after(1))
        due = stage.after(1)
        await stage.clock.advance(2)

        assert await stage.backend.promote(3) == Promoted(3, due)
        assert await stage.backend.promote(3) == Promoted(2, None)

    async def test_promoted_jobs_stand_in_their_old_place(self, stage: Stage) -> None:
        await stage.put("first", scheduled_at=stage.after(2))
        await stage.put("second", scheduled_at=stage.after(1))
        await stage.put("third")
        await stage.clock.advance(2)
        await stage.backend.promote(10)

        claims = await stage.take()

        assert [claim.envelope.id for claim in claims] == ["first", "second", "third"]

    @pytest.mark.parametrize("status", CAN_EXPIRE, ids=str)
    async def test_a_queued_job_that_is_too_late_expires(self, stage: Stage, status: Status) -> None:
        await _bring(stage, status)
        await stage.clock.advance(9.999)
        await stage.backend.promote(10)
        assert await stage.is_at("a") == [status]

        await stage.clock.advance(0.001)

        assert (await stage.backend.promote(10)).count == 1
        assert await stage.is_at("a") == [Status.EXPIRED]
        assert (await stage.status("a")).finished_at == moment(stage.clock.now())
        event = (await stage.events())[-1]
        assert isinstance(event, JobExpired)
        assert (event.job_id, event.status, event.at) == ("a", Status.EXPIRED, stage.clock.now())

    async def test_expiry_comes_before_promotion(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.after(5), expires_at=stage.after(5))
        await stage.clock.advance(5)

        assert await stage.backend.promote(10) == Promoted(1, None)
        assert await stage.is_at("a") == [Status.EXPIRED]

    async def test_no_more_than_the_limit_expires(self, stage: Stage) -> None:
        await stage.put("a", "b", "c", expires_at=stage.after(1))
        await stage.clock.advance(1)

        assert (await stage.backend.promote(2)).count == 2
        assert (await stage.backend.promote(2)).count == 1

    async def test_an_ended_job_does_not_expire(self, stage: Stage) -> None:
        claim = await stage.start("a", expires_at=stage.after(5))
        await stage.settle(claim, Status.COMPLETED)
        await stage.clock.advance(10)

        assert await stage.backend.promote(10) == Promoted(0, None)

    async def test_a_cancelled_or_paused_job_is_not_promoted(self, stage: Stage) -> None:
        await stage.put("a", "b", scheduled_at=stage.after(5))
        await stage.backend.cancel(["a"])
        await stage.backend.pause(["b"])
        await stage.clock.advance(5)

        assert await stage.backend.promote(10) == Promoted(0, None)
        assert await stage.is_at("a", "b") == [Status.CANCELLED, Status.PAUSED]


async def _bring(stage: Stage, status: Status) -> None:
    expires_at = stage.after(10)
    if status is Status.SCHEDULED:
        await stage.put("a", expires_at=expires_at, scheduled_at=stage.after(60))
    elif status is Status.RETRYING:
        claim = await stage.start("a", expires_at=expires_at)
        await stage.settle(claim, status, due_at=stage.after(60))
    else:
        await stage.put("a", expires_at=expires_at)
        if status is Status.PAUSED:
            await stage.backend.pause(["a"])
