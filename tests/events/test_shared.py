"""Followers of one process share their looks at the store."""

import asyncio
from typing import Any

import pytest

from aiojobs_engine import BackendUnavailable, Engine, JobEvent
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.events.shared import SharedStream
from aiojobs_engine.testing import ManualClock


class Counted(MemoryBackend):
    reads = 0
    waits = 0
    fails = False

    async def read(self, after: str | None, limit: int) -> Any:
        self.reads += 1
        await asyncio.get_running_loop().create_task(_turn())
        if self.fails:
            raise BackendUnavailable("away")
        return await super().read(after, limit)

    async def wait_events(self, after: str, timeout: float) -> None:
        self.waits += 1
        await super().wait_events(after, timeout)


async def _turn() -> None: ...


@pytest.mark.case("E9")
async def test_a_thousand_followers_cost_the_store_no_more_than_one() -> None:
    clock = ManualClock()
    store = Counted(clock=clock)
    engine = Engine(backend=store, clock=clock)
    seen: list[list[JobEvent]] = [[] for _ in range(999)]

    @engine.job(name="work")
    async def work() -> None: ...

    async def follow(place: int) -> None:
        async for event in engine.events():
            seen[place].append(event)

    async with engine:
        stuck = engine.events()
        first = asyncio.get_running_loop().create_task(anext(stuck))
        tasks = [asyncio.get_running_loop().create_task(follow(place)) for place in range(999)]
        await clock.rest()
        reads, waits = store.reads, store.waits
        for _ in range(10):
            await engine.dispatch(work)
            await clock.rest()

        assert {len(events) for events in seen} == {10}
        assert store.reads - reads <= 30
        assert store.waits - waits <= 30
        assert await first
        assert all(events == seen[0] for events in seen)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await stuck.aclose()


async def test_a_failure_is_everybodys_and_the_next_look_is_a_new_one() -> None:
    store = Counted(clock=ManualClock())
    await store.open()
    shared = SharedStream(store)
    store.fails = True

    answers = await asyncio.gather(*(shared.read(None, 10) for _ in range(3)), return_exceptions=True)
    store.fails = False

    assert [type(answer) for answer in answers] == [BackendUnavailable] * 3
    assert await shared.read(None, 10) == ([], "0")
    assert store.reads == 2


async def test_one_who_is_cancelled_ends_nobody_elses_look() -> None:
    clock = ManualClock()
    store = Counted(clock=clock)
    await store.open()
    shared = SharedStream(store)
    first, second = (asyncio.get_running_loop().create_task(shared.wait_events("0", 5)) for _ in range(2))
    await clock.rest()
    first.cancel()
    await clock.rest()
    assert not second.done()

    await clock.advance(5)

    assert second.done()
    assert store.waits == 1


async def test_closing_ends_what_is_under_way() -> None:
    clock = ManualClock()
    store = Counted(clock=clock)
    await store.open()
    shared = SharedStream(store)
    waiting = asyncio.get_running_loop().create_task(shared.wait_events("0", 5))
    await clock.rest()

    await shared.close()
    await clock.rest()

    assert waiting.done()
