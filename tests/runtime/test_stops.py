"""Runs that are told to end: deadlines, cancels, lost leases, shutdown."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine.core.config import Settings, WorkerSettings
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.context import JobContext
from tests.runtime.world import World


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_run_past_its_timeout_is_cancelled_and_counts_as_a_failure() -> None:
    world = World()

    @world.registry.job(timeout=30, retry=Retry.none())
    async def slow() -> None:
        await for_ever()

    async with world.running():
        job_id = await world.push(slow.job())
        await world.clock.advance(29.9)
        assert (await world.status(job_id)).status is Status.PROCESSING
        await world.clock.advance(0.2)
        status = await world.status(job_id)

    assert status.status is Status.FAILED
    assert status.error is not None
    assert status.error.type == "timeout"


async def test_a_timeout_of_zero_means_none() -> None:
    world = World()

    @world.registry.job(timeout=0)
    async def slow() -> None:
        await for_ever()

    async with world.running():
        job_id = await world.push(slow.job())
        await world.clock.advance(100_000)
        status = await world.status(job_id)

    assert status.status is Status.PROCESSING


async def test_a_checkpoint_starts_the_deadline_anew() -> None:
    world = World()

    @world.registry.job(timeout=10, retry=Retry.none())
    async def steady(ctx: JobContext) -> str:
        for step in range(5):
            await world.clock.sleep(8)
            await ctx.checkpoint(step)
        return "done"

    async with world.running():
        status = await world.until_final(await world.push(steady.job()))

    assert (status.status, status.result) == (Status.COMPLETED, "done")


async def test_a_handler_that_swallows_every_cancel_is_given_up_and_its_slot_reused() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=1, cancel_timeout=2.0)))
    released = asyncio.Event()
    cancels = 0

    @world.registry.job(timeout=5, retry=Retry.none())
    async def stubborn() -> None:
        nonlocal cancels
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                cancels += 1

    @world.registry.job()
    async def next_one() -> None: ...

    async with world.running():
        first = await world.push(stubborn.job())
        second = await world.push(next_one.job())
        await world.clock.advance(10)
        statuses = [(await world.status(job_id)).status for job_id in (first, second)]
        released.set()

    assert statuses == [Status.FAILED, Status.COMPLETED]
    assert cancels == 2


async def test_a_cancelled_running_job_ends_within_a_renewal() -> None:
    world = World()
    cleaned: list[bool] = []

    @world.registry.job()
    async def slow() -> None:
        try:
            await for_ever()
        finally:
            cleaned.append(True)

    async with world.running():
        job_id = await world.push(slow.job())
        await world.clock.advance(1)
        await world.store.cancel([job_id])
        await world.clock.advance(10 / 3)
        status = await world.status(job_id)

    assert (status.status, status.attempts) == (Status.CANCELLED, 0)
    assert cleaned == [True]


async def test_a_long_job_keeps_its_lease() -> None:
    world = World()

    @world.registry.job(timeout=0)
    async def slow() -> None:
        await for_ever()

    async with world.running():
        job_id = await world.push(slow.job())
        await world.clock.advance(1000)
        status = await world.status(job_id)

    assert (status.status, status.attempts, status.crashes) == (Status.PROCESSING, 0, 0)


async def test_a_run_whose_lease_was_taken_is_cancelled_and_writes_nothing_more() -> None:
    world = World()
    ended: list[str] = []

    @world.registry.job(timeout=0)
    async def slow(ctx: JobContext) -> None:
        try:
            await for_ever()
        finally:
            ended.append(ctx.id)

    async with world.running() as worker:
        job_id = await world.push(slow.job())
        await world.clock.rest()
        for agent in ("heartbeat", "rescuer"):  # as if the process stood still
            await worker._agents.stop(agent)
        await world.clock.advance(11)
        claims = await world.store.rescue("other", 10, 1000.0)
        await worker._heartbeat.beat()
        await world.clock.rest()
        status = await world.status(job_id)

    assert [claim.lease.token for claim in claims] == [2]
    assert ended == [job_id]
    assert (status.status, status.worker) == (Status.PROCESSING, "other")


async def test_jobs_of_a_dead_worker_run_again_and_are_charged_a_crash_but_no_failure() -> None:
    world = World()
    seen: list[tuple[int, int]] = []

    @world.registry.job(retry=Retry.none())
    async def task(ctx: JobContext) -> None:
        seen.append((ctx.attempt, ctx.crashes))

    job_id = await world.push_before_open(task.job())
    await world.store.claim(Watch("dead", ("default",), (task.name,)), 10, 10.0)
    async with world.running():
        status = await world.until_final(job_id)

    assert seen == [(2, 1)]
    assert (status.status, status.attempts, status.crashes) == (Status.COMPLETED, 2, 1)
    assert "LeaseLost" in await world.names(job_id)


async def test_a_job_that_takes_too_many_workers_with_it_is_failed_as_crashed_worker() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=10, max_crashes=3)))
    ran: list[int] = []

    @world.registry.job()
    async def poison() -> None:
        ran.append(1)

    job_id = await world.push_before_open(poison.job())
    await world.crash(poison)
    await world.crash(poison)
    await world.store.claim(Watch("dead", ("default",), (poison.name,)), 10, 10.0)
    async with world.running():
        status = await world.until_final(job_id)

    assert ran == []
    assert (status.status, status.crashes) == (Status.FAILED, 3)
    assert status.error is not None
    assert status.error.reason == "crashed_worker"


async def test_at_shutdown_running_jobs_may_end_within_the_drain_timeout() -> None:
    world = World()

    @world.registry.job()
    async def slow() -> None:
        await world.clock.sleep(20)

    async with world.running() as worker:
        job_id = await world.push(slow.job())
        await world.clock.rest()
        worker.stop()
        later = await world.push(slow.job())
        await world.clock.advance(21)
        assert (await world.status(job_id)).status is Status.COMPLETED
        assert (await world.status(later)).status is Status.PENDING


async def test_at_shutdown_jobs_that_outlast_the_drain_go_back_at_once_with_no_attempt_counted() -> None:
    world = World()

    @world.registry.job()
    async def slow() -> None:
        await for_ever()

    async with world.running() as worker:
        job_id = await world.push(slow.job())
        await world.clock.rest()
        worker.stop()
        await world.clock.advance(25.1)
        status = await world.status(job_id)

    assert (status.status, status.attempts, status.crashes) == (Status.PENDING, 0, 0)
    assert (await world.names(job_id))[-1] == "JobInterrupted"


async def test_a_second_stop_cancels_what_is_left_at_once() -> None:
    world = World()

    @world.registry.job()
    async def slow() -> None:
        await for_ever()

    async with world.running() as worker:
        job_id = await world.push(slow.job())
        await world.clock.rest()
        worker.stop()
        await world.clock.rest()
        worker.stop_now()
        await world.clock.rest()
        assert (await world.status(job_id)).status is Status.PENDING
        assert await world.store.workers() == []


async def test_a_long_job_is_handed_back_at_its_next_checkpoint_and_goes_on_from_there() -> None:
    world = World()
    steps: list[int] = []

    @world.registry.job(timeout=0)
    async def steady(ctx: JobContext) -> int:
        for step in range(ctx.cursor or 0, 10):
            steps.append(step)
            await world.clock.sleep(1)
            await ctx.progress(step + 1, 10)
            await ctx.checkpoint(step + 1)
        return len(steps)

    async with world.running() as worker:
        job_id = await world.push(steady.job())
        await world.clock.advance(3.5)
        worker.stop()
        await world.clock.advance(1)
        between = await world.status(job_id)
    async with world.running():
        status = await world.until_final(job_id)

    assert (between.status, between.processed, between.total, between.attempts) == (Status.PENDING, 4, 10, 0)
    assert steps == list(range(10))
    assert (status.status, status.processed, status.attempts) == (Status.COMPLETED, 10, 1)


async def test_the_slot_of_a_thread_that_ignores_its_timeout_stays_taken_until_the_thread_ends() -> None:
    world = World(settings=Settings(worker=WorkerSettings(concurrency=1)))
    started, release = threading.Event(), threading.Event()

    @world.registry.job(timeout=5, retry=Retry.none())
    def stuck() -> None:
        started.set()
        release.wait(10)

    @world.registry.job()
    async def next_one() -> None: ...

    async with world.running():
        first = await world.push(stuck.job())
        second = await world.push(next_one.job())
        await world.clock.rest()
        while not started.is_set():
            await checkpoint()
        await world.clock.advance(6)
        assert (await world.status(first)).status is Status.FAILED
        assert (await world.status(second)).status is Status.PENDING
        release.set()
        await world.until_real(second, Status.COMPLETED)


async def test_a_job_that_took_two_workers_with_it_runs_apart() -> None:
    from aiojobs_engine.core.outcome import Succeeded
    from aiojobs_engine.ports.backend import Claim

    world = World()
    isolated: list[str] = []

    async def isolate(claim: Claim, alive: Callable[[], None]) -> Succeeded:
        alive()
        isolated.append(claim.envelope.id)
        return Succeeded("alone")

    @world.registry.job()
    async def suspect() -> str:
        raise AssertionError("it must not run beside others")

    world.isolate = isolate
    job_id = await world.push_before_open(suspect.job())
    await world.crash(suspect)
    await world.crash(suspect)
    async with world.running():
        status = await world.until_final(job_id)

    assert isolated == [job_id]
    assert (status.status, status.result) == (Status.COMPLETED, "alone")


@pytest.mark.parametrize("concurrency", [0, -1])
async def test_a_worker_without_slots_is_refused(concurrency: int) -> None:
    world = World()

    @world.registry.job()
    async def any_job() -> None: ...

    with pytest.raises(Exception, match="at least 1"):
        world.worker(concurrency=concurrency)


async def test_a_function_that_is_cancelled_before_its_thread_began_never_runs_and_frees_its_slot() -> None:
    from aiojobs_engine.runtime.offload import Offload

    offload, ended, ran = Offload(1), asyncio.Event(), threading.Event()
    task = asyncio.get_running_loop().create_task(offload.in_thread(ran.set, ended))
    await checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await ended.wait()
    assert task.cancelled()
