"""Why a job is not running: every reason, told to people and to programs."""

import asyncio

import pytest

from aiojobs_engine import Engine, JobContext, JobNotFound, Retry
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.core.instant import later, moment
from aiojobs_engine.ports.control import TypeRecord, WorkerRecord


def _registered(engine: Engine) -> None:
    @engine.job(name="work", retry=Retry.fixed(2, 60))
    async def work(*, fails: bool = False) -> None:
        if fails:
            raise ValueError("no")


async def _codes(engine: Engine, job_id: str) -> list[str]:
    return [reason.code for reason in (await engine.explain(job_id)).reasons]


async def _announce(engine: Engine, *, running: int = 0, queues: tuple[str, ...] = ("default",)) -> None:
    now = engine.clock.now()
    worker = WorkerRecord(
        id="w", host="h", pid=1, queues=queues, slots=2, running=running, started_at=now, beat_at=now
    )
    await engine.store.beat(worker)
    await engine.store.publish([TypeRecord(name="work", kind="job", queue="default", options={}, schema={})])


async def test_a_pending_job_waits_for_a_worker_then_for_a_slot_then_for_its_turn(engine: Engine) -> None:
    _registered(engine)
    async with engine:
        first = await engine.dispatch("work")
        second = await engine.dispatch("work")
        assert await _codes(engine, second.id) == ["no_worker", "behind"]
        await _announce(engine, queues=("other",))
        assert await _codes(engine, first.id) == ["no_worker"]
        await _announce(engine, running=2)
        assert await _codes(engine, first.id) == ["busy"]
        await _announce(engine)
        assert await _codes(engine, first.id) == ["ready"]
        explanation = await engine.explain(second.id)
        (reason,) = explanation.reasons
        assert (reason.code, reason.count) == ("behind", 1)
        await engine.queues.pause("default")
        assert await _codes(engine, second.id) == ["queue_paused", "behind"]


async def test_a_type_that_nobody_published_has_no_handler(engine: Engine) -> None:
    async with engine:
        await _announce(engine)
        handle = await engine.dispatch("unheard", queue="default")

        assert await _codes(engine, handle.id) == ["no_handler"]


async def test_delays_pauses_and_expiries_are_told_with_their_ends(engine: Engine) -> None:
    _registered(engine)
    async with engine:
        await _announce(engine)
        named = engine.named("work")
        later = await engine.dispatch(named.options(delay=60, expires=90).job())
        parked = await engine.dispatch(named.job())
        await engine.jobs.pause(parked.id)

        delay, expires = (await engine.explain(later.id)).reasons
        assert (delay.code, expires.code) == ("delay", "expires")
        assert delay.until is not None
        assert expires.until is not None
        assert (expires.until - delay.until).total_seconds() == pytest.approx(30, abs=0.01)
        assert await _codes(engine, parked.id) == ["paused"]


async def test_a_failed_attempt_is_told_with_the_next_one(engine: Engine) -> None:
    _registered(engine)
    async with engine:
        handle = await engine.dispatch("work", fails=True)
        worker = engine.worker(burst=True, await_retries=False)
        await worker.run()
        await _announce(engine)

        (reason,) = (await engine.explain(handle.id)).reasons
        assert reason.code == "delay"
        assert reason.message.startswith("its last attempt failed")


async def test_a_running_job_is_held_by_its_worker(engine: Engine) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @engine.job(name="hold")
    async def hold(ctx: JobContext) -> None:
        begun.set()
        await go_on.wait()

    async with engine.running():
        handle = await engine.dispatch(hold)
        await begun.wait()
        (reason,) = (await engine.explain(handle.id)).reasons
        go_on.set()

    assert reason.code == "running"
    assert reason.worker
    assert reason.until is not None
    assert reason.worker in reason.message


async def test_what_waits_says_for_whom(engine: Engine) -> None:
    _registered(engine)
    async with engine:
        a, b = engine.named("work").job(), engine.named("work").job()
        await engine.dispatch(a | b)
        batch = await engine.dispatch(engine.batch([engine.named("work").job()]))

        (reason,) = (await engine.explain(b.id)).reasons
        assert (reason.code, reason.jobs) == ("needs", (a.id,))
        assert reason.message == f"it waits for the success of {a.id}, which is pending"
        (members,) = (await engine.explain(batch.id)).reasons
        assert (members.code, members.count) == ("members", 1)


async def test_an_ended_job_says_how(engine: Engine) -> None:
    _registered(engine)
    async with engine:
        handle = await engine.dispatch("work")
        await handle.cancel()

        assert await _codes(engine, handle.id) == ["ended"]
        with pytest.raises(JobNotFound):
            await engine.explain("nobody")


async def test_limits_that_hold_a_job_back_are_told(engine: Engine) -> None:
    _registered(engine)
    async with engine:
        await _announce(engine)
        handle = await engine.dispatch("work")
        store, soon = engine.store, later(engine.clock.now(), 60)
        await store.set_limits(
            [
                Limit(queue="default", concurrency=0),
                Limit(queue="default", type="work", closed_until=soon),
                Limit(queue="other", concurrency=0),
            ]
        )

        first, second = (await engine.explain(handle.id)).reasons
        assert (first.code, first.count) == ("concurrency", 0)
        assert first.message == "0 jobs of the queue default run, at most 0 may"
        assert (second.code, second.until) == ("closed", moment(soon))
        await store.set_limits([Limit(queue="default"), Limit(queue="default", type="work")])
        assert await _codes(engine, handle.id) == ["ready"]
