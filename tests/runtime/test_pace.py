"""Jobs that are claimed before there is a slot for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiojobs_engine.core.config import Settings, WorkerSettings
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.pace import Pace
from aiojobs_engine.runtime.worker import Worker
from aiojobs_engine.testing.clock import ManualClock
from tests.runtime.world import World


def one_slot() -> World:
    return World(settings=Settings(worker=WorkerSettings(concurrency=1)))


async def test_nothing_is_claimed_ahead_before_the_pace_is_known_nor_of_long_jobs() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    before = pace.allowance()
    for _ in range(20):
        await clock.advance(1)
        pace.count()

    assert (before, pace.allowance()) == (0, 0)


async def test_what_is_claimed_ahead_grows_with_the_pace_up_to_five_hundred() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    allowances: list[int] = []
    for per_turn in (10, 10, 10, 10, 10_000, 10_000):
        for _ in range(per_turn):
            pace.count()
        await clock.advance(0.01)
        allowances.append(pace.allowance())

    assert allowances[:4] == [20, 30, 35, 37]
    assert allowances[-1] == 500


async def warmed_up(world: World, quick: Any) -> None:
    """Let the worker see that its jobs are short."""
    for _ in range(30):
        for number in range(20):
            await world.push(quick.job(number=number))
        await world.clock.advance(0.002)


async def test_jobs_claimed_ahead_start_in_order_as_slots_become_free() -> None:
    world = one_slot()
    order: list[int] = []

    @world.registry.job()
    async def quick(number: int) -> None: ...

    @world.registry.job()
    async def slower(number: int) -> None:
        order.append(number)
        await world.clock.sleep(0.001)

    async with world.running() as worker:
        await warmed_up(world, quick)
        for number in range(10):
            await world.push(slower.job(number=number))
        await world.clock.rest()
        claimed_ahead = len(worker._slots.ahead)
        await world.clock.advance(1)

    assert claimed_ahead > 0
    assert order == list(range(10))


@asynccontextmanager
async def behind_a_long_job() -> AsyncIterator[tuple[World, Worker, list[str]]]:
    """A worker of one slot that runs a job without end, and the ids of five that it claimed ahead."""
    world = one_slot()

    @world.registry.job()
    async def quick(number: int) -> None: ...

    @world.registry.job()
    async def long() -> None:
        await asyncio.Event().wait()

    async with world.running() as worker:
        await warmed_up(world, quick)
        await world.push(long.job())
        behind = [await world.push(quick.job(number=number)) for number in range(5)]
        await world.clock.rest()
        assert len(worker._slots.ahead) == 5
        yield world, worker, behind


async def test_jobs_claimed_ahead_of_a_long_one_go_back_within_a_quarter_of_a_second() -> None:
    async with behind_a_long_job() as (world, _, behind):
        await world.clock.advance(0.26)
        statuses = [await world.status(job_id) for job_id in behind]

    facts = {(status.status, status.attempts, status.crashes) for status in statuses}
    assert facts == {(Status.PENDING, 0, 0)}


async def test_at_shutdown_jobs_claimed_ahead_go_back_at_once() -> None:
    async with behind_a_long_job() as (world, worker, behind):
        worker.stop()
        await world.clock.rest()
        statuses = [(await world.status(job_id)).status for job_id in behind]

    assert statuses == [Status.PENDING] * 5


async def test_jobs_that_a_dead_worker_had_claimed_ahead_are_charged_nothing() -> None:
    world = World()

    @world.registry.job()
    async def quick(number: int) -> None: ...

    await world.store.open()
    ids = [await world.push(quick.job(number=number)) for number in range(10)]
    watch = Watch("dead", ("default",), (quick.name,))
    claims = await world.store.claim(watch, 10, 10.0, ahead=6)
    await world.store.begin([claims[4].lease])
    async with world.running():
        await world.clock.advance(15)
        crashes = [(await world.status(job_id)).crashes for job_id in ids]
        attempts = [(await world.status(job_id)).attempts for job_id in ids]

    assert crashes == [1] * 5 + [0] * 5
    assert attempts == [2] * 5 + [1] * 5


async def test_a_job_claimed_ahead_that_runs_is_told_to_the_store_so_that_its_crash_counts() -> None:
    world = one_slot()

    @world.registry.job()
    async def quick(number: int) -> None: ...

    @world.registry.job()
    async def short() -> None:
        await world.clock.sleep(0.001)

    @world.registry.job(timeout=0)
    async def long() -> None:
        await asyncio.Event().wait()

    async with world.running() as worker:
        await warmed_up(world, quick)
        await world.push(short.job())
        running = await world.push(long.job())
        await world.clock.rest()
        assert len(worker._slots.ahead) == 1
        await world.clock.advance(0.05)
        for agent in ("heartbeat", "guard", "rescuer"):  # as if the process stood still
            await worker._agents.stop(agent)
        await world.clock.advance(11)
        claims = await world.store.rescue("other", 10, 1000.0)

    assert [(claim.envelope.id, claim.has_started) for claim in claims] == [(running, True)]
