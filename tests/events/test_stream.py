"""Following what all processes emit: from now or from a cursor, through outages, to the closing."""

import asyncio
from typing import Any

import pytest

from aiojobs_engine import BackendClosed, BackendUnavailable, ConfigError, Engine, JobEvent
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.testing import ManualClock, TestEngine


class Shaky(MemoryBackend):
    """A store whose stream can't be read while it is away."""

    is_away = False

    async def read(self, after: str | None, limit: int) -> Any:
        if self.is_away:
            raise BackendUnavailable("connection reset")
        return await super().read(after, limit)


def made(clock: ManualClock) -> tuple[Engine, Any, Shaky]:
    store = Shaky(clock=clock)
    engine = Engine(backend=store, clock=clock)

    @engine.job(name="add")
    async def add(a: int) -> int:
        return a

    return engine, add, store


def collecting(engine: Engine, **filters: Any) -> tuple[list[JobEvent], asyncio.Task[None]]:
    events: list[JobEvent] = []

    async def collect() -> None:
        async for event in engine.events(**filters):
            events.append(event)  # noqa: PERF401 - it never ends

    return events, asyncio.get_running_loop().create_task(collect())


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_without_a_cursor_it_begins_now() -> None:
    clock = ManualClock()
    engine, add, _ = made(clock)

    async with engine:
        await engine.dispatch(add, a=1)
        events, task = collecting(engine)
        await clock.rest()
        later = await engine.dispatch(add, a=2)
        await clock.rest()

        assert [(type(event).__name__, event.job_id) for event in events] == [("JobCreated", later.id)]
        await ended(task)


async def test_a_cursor_goes_on_where_one_stopped() -> None:
    clock = ManualClock()
    engine, add, _ = made(clock)

    async with engine:
        events, task = collecting(engine)
        await clock.rest()
        handles = await engine.dispatch_many(add.job(a=number) for number in range(5))
        await clock.rest()
        await ended(task)
        again, task = collecting(engine, after=events[1].cursor)
        await clock.rest()

        assert [event.job_id for event in again] == [handle.id for handle in handles[2:]]
        await ended(task)


@pytest.mark.parametrize(
    "filters, found",
    [
        ({"user_id": 7}, [0]),
        ({"user_id": "7"}, [0]),
        ({"type": "add"}, [0, 1]),
        ({"type": "other"}, []),
        ({"kind": "job", "user_id": 8}, [1]),
    ],
)
async def test_filters_hold_together(filters: dict[str, Any], found: list[int]) -> None:
    clock = ManualClock()
    engine, add, _ = made(clock)

    async with engine:
        events, task = collecting(engine, **filters)
        await clock.rest()
        handles = [await engine.dispatch(add.options(user_id=user), a=1) for user in (7, 8)]
        await clock.rest()

        assert [event.job_id for event in events] == [handles[index].id for index in found]
        await ended(task)


async def test_one_job_can_be_followed() -> None:
    clock = ManualClock()
    engine, add, _ = made(clock)

    async with engine:
        job = add.job(a=1)
        events, task = collecting(engine, job_id=job.id)
        await clock.rest()
        await engine.dispatch_many([add.job(a=0), job, add.job(a=2)])
        await engine.worker(burst=True).run()
        await clock.rest()

        assert [type(event).__name__ for event in events] == ["JobCreated", "JobStarted", "JobCompleted"]
        await ended(task)


async def test_an_outage_loses_nothing() -> None:
    clock = ManualClock()
    engine, add, store = made(clock)

    async with engine:
        events, task = collecting(engine)
        await clock.rest()
        store.is_away = True
        handle = await engine.dispatch(add, a=1)
        await clock.advance(60)
        assert events == []
        store.is_away = False
        await clock.advance(6)

        assert [event.job_id for event in events] == [handle.id]
        await ended(task)


async def test_many_events_come_batch_by_batch() -> None:
    clock = ManualClock()
    engine, add, _ = made(clock)

    async with engine:
        events, task = collecting(engine)
        await clock.rest()
        handles = await engine.dispatch_many(add.job(a=number) for number in range(5_000))
        await clock.rest()

        assert [event.job_id for event in events] == [handle.id for handle in handles]
        await ended(task)


async def test_closing_ends_it_with_an_error() -> None:
    clock = ManualClock()
    engine, _, _ = made(clock)

    async with engine:
        _, task = collecting(engine)
        await clock.rest()

    with pytest.raises(BackendClosed):
        await task


async def test_a_foreign_cursor_is_refused() -> None:
    engine, _, _ = made(ManualClock())

    async with engine:
        with pytest.raises(ConfigError):
            await anext(engine.events(after="no cursor"))


async def test_a_test_engine_has_a_stream_too() -> None:
    engine, add, _ = made(ManualClock())

    async with TestEngine(engine) as t:
        events, task = collecting(engine)
        await t.clock.rest()
        await engine.dispatch(add, a=1)
        await t.drain()

        assert [type(event).__name__ for event in events] == ["JobCreated", "JobStarted", "JobCompleted"]
        await ended(task)
