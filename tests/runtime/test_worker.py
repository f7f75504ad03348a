"""The worker as a whole: bursts, resources, outages of the store, what it costs per job."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

from aiojobs_engine.core.config import Settings, WorkerSettings
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.task_group import join, start
from tests.runtime.world import World


async def test_a_burst_ends_when_no_job_is_due_and_leaves_future_ones_alone() -> None:
    world = World()
    ran: list[int] = []

    @world.registry.job()
    async def quick(number: int) -> None:
        ran.append(number)

    await world.store.open()
    for number in range(25):
        await world.push(quick.job(number=number))
    later = await world.push(quick.job(number=99), scheduled_at=world.clock.now() + 60_000)

    task = start(world.worker(burst=True).run(), "burst")
    await world.clock.advance(1)

    assert task.done()
    assert sorted(ran) == list(range(25))
    assert (await world.status(later)).status is Status.SCHEDULED


async def test_a_burst_waits_for_retries() -> None:
    world = World()

    @world.registry.job(retry=Retry.fixed(3, 5))
    async def second_time_lucky(ctx: JobContext) -> None:
        if ctx.attempt == 1:
            raise OSError("not yet")

    await world.store.open()
    job_id = await world.push(second_time_lucky.job())
    task = start(world.worker(burst=True).run(), "burst")
    await world.clock.advance(4)
    assert not task.done()
    await world.clock.advance(4)

    assert task.done()
    assert (await world.status(job_id)).status is Status.COMPLETED


async def test_a_burst_runs_what_its_jobs_dispatch() -> None:
    world = World()
    ran: list[int] = []

    @world.registry.job()
    async def countdown(number: int) -> None:
        ran.append(number)
        if number:
            await world.push(countdown.job(number=number - 1))

    await world.store.open()
    await world.push(countdown.job(number=30))
    task = start(world.worker(burst=True).run(), "burst")
    await world.clock.advance(1)

    assert task.done()
    assert ran == list(range(30, -1, -1))


async def test_no_more_jobs_run_at_once_than_there_are_slots() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=7)))
    running = most = 0

    @world.registry.job()
    async def busy() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await world.clock.sleep(1)
        running -= 1

    async with world.running():
        for _ in range(50):
            await world.push(busy.job())
        await world.clock.advance(60)
        counts = await world.store.counts()

    assert most == 7
    assert counts == {("default", Status.COMPLETED): 50}


async def test_resources_are_entered_once_per_worker_and_left_after_the_last_job() -> None:
    world = World()
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def resources() -> AsyncIterator[dict[str, str]]:
        log.append("enter")
        yield {"pool": "a pool"}
        log.append("leave")

    @world.registry.job()
    async def user(ctx: JobContext) -> None:
        log.append(ctx.resources["pool"])

    world.resources = resources
    async with world.running():
        for _ in range(3):
            await world.until_final(await world.push(user.job()))

    assert log == ["enter", "a pool", "a pool", "a pool", "leave"]


async def test_jobs_start_by_priority_and_then_in_the_order_in_which_they_were_accepted() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=1)))
    order: list[str] = []

    @world.registry.job()
    async def named(name: str) -> None:
        order.append(name)

    await world.store.open()
    for name, priority in (("low 1", -1), ("normal 1", 0), ("high 1", 9), ("normal 2", 0), ("high 2", 9)):
        await world.push(named.job(name=name), priority=priority)
    async with world.running():
        await world.clock.advance(1)

    assert order == ["high 1", "high 2", "normal 1", "normal 2", "low 1"]


async def test_jobs_of_types_that_nobody_here_knows_stay_queued_and_uncharged() -> None:
    world, other = World(), World()

    @world.registry.job()
    async def known() -> None: ...

    @other.registry.job()
    async def unknown() -> None: ...

    async with world.running():
        stranger = await world.push(unknown.job())
        status = await world.until_final(await world.push(known.job()))
        left = await world.status(stranger)

    assert status.status is Status.COMPLETED
    assert (left.status, left.attempts, left.crashes) == (Status.PENDING, 0, 0)


class Flaky:
    """A store whose next calls of some verbs fail, before or after they took effect."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.failures: dict[str, list[str]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        planned = self.failures.get(name)
        if not planned:
            return method

        async def failing(*args: Any, **kwargs: Any) -> Any:
            when = planned.pop(0)
            if when == "after":
                await method(*args, **kwargs)
            raise BackendUnavailable(f"{name} failed {when} its effect")

        return failing


async def test_an_outcome_whose_write_fails_is_written_again_and_counted_once() -> None:
    world = World()
    world.store = flaky = Flaky(world.store)
    runs: list[int] = []

    @world.registry.job()
    async def once() -> None:
        runs.append(1)

    async with world.running():
        flaky.failures["settle"] = ["before", "after", "before"]
        status = await world.until_final(await world.push(once.job()))

    assert runs == [1]
    assert (status.status, status.attempts) == (Status.COMPLETED, 1)
    assert await world.names(status.id) == ["JobCreated", "JobStarted", "JobCompleted"]


async def test_a_store_that_is_away_for_a_while_stops_nothing_for_good() -> None:
    world = World()
    world.store = flaky = Flaky(world.store)

    @world.registry.job()
    async def simple() -> None: ...

    async with world.running() as worker:
        for verb in ("claim", "extend", "promote", "rescue", "beat", "prune", "wait"):
            flaky.failures[verb] = ["before"] * 4
        await world.clock.advance(30)
        status = await world.until_final(await world.push(simple.job()))
        await world.clock.advance(30)
        assert worker.is_healthy

    assert status.status is Status.COMPLETED


async def test_a_worker_cut_off_from_its_store_stops_its_handlers_before_their_leases_end() -> None:
    world = World()
    world.store = flaky = Flaky(world.store)
    cancelled_at: list[float] = []

    @world.registry.job(timeout=0)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled_at.append(world.clock.monotonic())

    async with world.running():
        await world.push(slow.job())
        await world.clock.rest()
        started_at = world.clock.monotonic()
        flaky.failures["extend"] = ["before"] * 100
        flaky.failures["beat"] = ["before"] * 100
        await world.clock.advance(20)
        flaky.failures.clear()

    assert 0 < cancelled_at[0] - started_at < 9.5


async def test_cancelling_a_worker_hands_its_jobs_back() -> None:
    world = World()

    @world.registry.job()
    async def slow() -> None:
        await asyncio.Event().wait()

    await world.store.open()
    job_id = await world.push(slow.job())
    task = start(world.worker().run(), "worker")
    await world.clock.rest()
    assert (await world.status(job_id)).status is Status.PROCESSING

    task.cancel()
    await world.clock.advance(1)
    await join(task)

    status = await world.status(job_id)
    assert task.cancelled()
    assert (status.status, status.attempts) == (Status.PENDING, 0)


async def test_a_thousand_jobs_cost_a_thousand_tasks_and_few_calls_of_the_store() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=100)))
    calls: dict[str, int] = {}
    store = world.store

    class Counted:
        def __getattr__(self, name: str) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return getattr(store, name)

    @world.registry.job()
    async def empty(number: int) -> None: ...

    await store.open()
    for number in range(1000):
        await world.push(empty.job(number=number))
    world.store = Counted()
    calls.clear()
    loop = asyncio.get_running_loop()
    tasks = 0
    plain = loop.create_task

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal tasks
        tasks += 1
        return plain(*args, **kwargs)

    loop.create_task = counting  # type: ignore[method-assign]
    try:
        task = start(world.worker(burst=True).run(), "burst")
        await world.clock.advance(1)
    finally:
        loop.create_task = plain  # type: ignore[method-assign]

    assert task.done()
    assert tasks <= 1000 + 25
    assert calls["claim"] <= 1000 / 50 + 5
    assert calls["settle"] <= 1000 / 50 + 5


async def test_a_job_sees_nothing_of_the_context_of_the_one_before_it_in_its_slot() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=1)))
    mark: ContextVar[str] = ContextVar("mark", default="clean")
    seen: list[str] = []

    @world.registry.job()
    async def marks() -> None:
        seen.append(mark.get())
        mark.set("dirty")

    async with world.running():
        for _ in range(3):
            await world.push(marks.job())
        await world.clock.advance(1)

    assert seen == ["clean"] * 3
