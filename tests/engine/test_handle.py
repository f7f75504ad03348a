"""A job in the hands of its dispatcher: status, cancel, retry, events."""

import asyncio
from typing import Any

import pytest

from aiojobs_engine import (
    Engine,
    IllegalTransition,
    JobCancelledError,
    JobNotFound,
    Retry,
    Status,
    TooLate,
)
from aiojobs_engine.testing import TestEngine
from tests.engine.tasks import begin


def failing(engine: Engine) -> tuple[Any, list[bool]]:
    works: list[bool] = []

    @engine.job(name="fragile", retry=Retry.none())
    async def fragile() -> str:
        if not works:
            raise ValueError("not yet")
        return "now"

    return fragile, works


async def names_of(handle: Any) -> list[str]:
    return [type(event).__name__ async for event in handle.events()]


async def test_a_queued_job_that_is_cancelled_never_starts() -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)
    works.append(True)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile)
        await handle.cancel()
        await handle.cancel()

        assert await t.drain() == {"cancelled": 1}
        with pytest.raises(JobCancelledError):
            await handle.result()


async def test_a_running_job_is_cancelled_in_its_handler() -> None:
    engine = Engine("memory://")
    seen: list[str] = []

    @engine.job(name="long")
    async def long() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with TestEngine(engine, patience=0.05) as t:
        handle = await engine.dispatch(long)
        assert await t.drain() == {"processing": 1}
        await handle.cancel()
        await t.advance(10)

        with pytest.raises(JobCancelledError):
            await handle.result()
    assert seen == ["cancelled"]


async def test_a_cancel_comes_too_late_for_a_job_that_ended() -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)
    works.append(True)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile)
        await t.drain()

        with pytest.raises(TooLate) as caught:
            await handle.cancel()

    assert (caught.value.job_id, caught.value.status, caught.value.trigger) == (
        handle.id,
        "completed",
        "cancel",
    )


async def test_a_failed_job_starts_anew_under_its_id() -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile)
        assert await t.drain() == {"failed": 1}
        works.append(True)
        await handle.retry()
        await t.drain()

        assert await handle.result() == "now"
        status = await handle.status()

    assert (status.epoch, status.attempts) == (1, 1)


@pytest.mark.parametrize("works_at_once", [True, False])
async def test_only_jobs_that_ended_without_success_are_retried(*, works_at_once: bool) -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile)
        if works_at_once:
            works.append(True)
            await t.drain()

        with pytest.raises(IllegalTransition) as caught:
            await handle.retry()

    assert caught.value.status == ("completed" if works_at_once else "pending")


@pytest.mark.parametrize("use", ["status", "cancel", "retry", "result"])
async def test_a_handle_of_nothing_says_so(engine: Engine, use: str) -> None:
    async with engine:
        handle = engine.handle("gone")

        with pytest.raises(JobNotFound) as caught:
            await getattr(handle, use)()

    assert caught.value.job_id == "gone"


async def test_events_run_from_the_creation_to_the_end(engine: Engine) -> None:
    @engine.job(name="add")
    async def add(a: int) -> int:
        return a + 1

    async with engine.running():
        await engine.dispatch(add, a=0)
        handle = await engine.dispatch(add, a=1)

        assert await names_of(handle) == ["JobCreated", "JobStarted", "JobCompleted"]
        assert await names_of(handle) == ["JobCreated", "JobStarted", "JobCompleted"]


async def test_events_are_followed_while_the_job_goes_on() -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile.options(delay=60))
        following = begin(names_of(handle))
        await t.clock.rest()
        works.append(True)
        await t.advance(61)

        assert await following == ["JobCreated", "JobStarted", "JobCompleted"]


async def test_events_of_a_job_that_was_retried_go_on_to_its_last_end() -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)
    story = ["JobCreated", "JobStarted", "JobFailed", "JobRetrying", "JobStarted", "JobCompleted"]

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile)
        await t.drain()
        assert await names_of(handle) == story[:3]
        works.append(True)
        await handle.retry()
        following = begin(names_of(handle))
        await t.clock.rest()
        await t.drain()

        assert await following == story
        assert await names_of(handle) == story


async def test_events_of_a_job_that_is_deleted_end() -> None:
    engine = Engine("memory://")
    fragile, _ = failing(engine)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile.options(delay=3600))
        following = begin(names_of(handle))
        await t.clock.rest()
        await engine.jobs.delete(handle.id)
        await t.advance(60)

        assert await following == ["JobCreated"]


async def test_events_of_nothing_are_an_error(engine: Engine) -> None:
    async with engine:
        with pytest.raises(JobNotFound):
            await names_of(engine.handle("gone"))


async def test_a_paused_job_waits_for_its_resume() -> None:
    engine = Engine("memory://")
    fragile, works = failing(engine)
    works.append(True)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(fragile)
        await engine.jobs.pause(handle.id)
        assert await t.drain() == {"paused": 1}
        await engine.jobs.resume(handle.id)

        assert await t.drain() == {"completed": 1}
        with pytest.raises(IllegalTransition):
            await engine.jobs.resume(handle.id)
        with pytest.raises(TooLate):
            await engine.jobs.pause(handle.id)


def test_a_handle_shows_its_id(engine: Engine) -> None:
    assert repr(engine.handle("abc")) == "<JobHandle abc>"
    assert Status.COMPLETED == "completed"
