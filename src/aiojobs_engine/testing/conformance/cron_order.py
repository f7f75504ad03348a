"""Cron entries that depend on others: their fires are bound to jobs, or skipped for want of them."""

from aiojobs_engine.core.needs import Need
from aiojobs_engine.core.schedule import fire_id
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.cron import Fired, FireOutcome
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.cron import NAME, fire, fired, history, put, record
from aiojobs_engine.testing.conformance.stage import Stage


class CronOrderContract(Contract):
    """`fire` with needs."""

    async def test_the_job_of_a_fire_waits_for_what_it_needs(self, stage: Stage) -> None:
        first, second, at = await put(stage), await put(stage, name="b"), stage.after(60)
        former, job_id = fire_id(NAME, at), fire_id("b", at)
        bound = stage.envelope(job_id, needs=(Need(former),))

        asks = [fire(stage, first, at), fire(stage, second, at, job=bound, waits_for=NAME)]
        assert await fired(stage, *asks) == [FireOutcome.FIRED] * 2
        assert await stage.is_at(job_id) == [Status.WAITING]
        claim = await stage.take_one()
        await stage.settle(claim, Status.COMPLETED)

        assert await stage.is_at(former, job_id) == [Status.COMPLETED, Status.PENDING]
        (told,) = await history(stage, "b")
        assert (told.outcome, told.job_id, told.waits_for) == (FireOutcome.FIRED, job_id, None)

    async def test_the_job_of_a_fire_whose_need_is_in_vain_is_cancelled(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)
        await stage.settle(await stage.start("former"), Status.FAILED)

        bound = stage.envelope(fire_id(NAME, at), needs=(Need("former"),))
        assert await fired(stage, fire(stage, made, at, job=bound)) == [FireOutcome.FIRED]

        assert await stage.is_at(bound.id) == [Status.CANCELLED]
        assert await stage.told(bound.id) == ["JobCreated", "JobCancelled"]

    async def test_a_fire_whose_need_is_not_stored_is_skipped(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)

        bound = stage.envelope(fire_id(NAME, at), needs=(Need("gone"),))
        ask = fire(stage, made, at, job=bound, waits_for="other")
        assert await stage.backend.fire([ask]) == [Fired(FireOutcome.SKIPPED, at)]

        (told,) = await history(stage)
        assert (told.outcome, told.job_id, told.waits_for) == (FireOutcome.SKIPPED, None, "other")
        assert (await record(stage)).last == told
        assert await stage.all_jobs() == []

    async def test_a_fire_that_waits_for_another_entry_in_vain_is_skipped(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)

        ask = fire(stage, made, at, job=None, waits_for="other")
        assert await stage.backend.fire([ask]) == [Fired(FireOutcome.SKIPPED, at)]

        (told,) = await history(stage)
        assert (told.outcome, told.at, told.waits_for) == (FireOutcome.SKIPPED, at, "other")
        assert (await record(stage)).settled_to == at
