"""L: what the event loop, cancellation and groups of tasks do to jobs."""

import asyncio
import contextlib
import threading
from random import Random
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine.core.events import JobCreated
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.task_group import join, start
from tests.cases.conftest import MakeCase, MakeEngine
from tests.cases.invariants import every_event, every_job
from tests.cases.stores import Case

T = 2.0


async def for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.case("L4")
async def test_a_handler_that_ignores_its_cancel_is_told_twice_and_then_given_up(make_case: MakeCase) -> None:
    case = make_case(concurrency=1)
    released = asyncio.Event()
    told_at: list[float] = []
    started_at = 0.0

    @case.registry.job(timeout=5, retry=Retry.none())
    async def stubborn() -> None:
        nonlocal started_at
        started_at = case.clock.monotonic()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                told_at.append(case.clock.monotonic())

    @case.registry.job()
    async def next_one() -> None: ...

    async with case.running() as worker:
        first = await case.push(stubborn.job())
        second = await case.push(next_one.job())
        await case.clock.advance(60)
        found = [await case.status(job_id) for job_id in (first, second)]
        stuck, has_leftovers = worker._slots.stuck, worker.has_leftovers
        released.set()

    assert [round(at - started_at, 1) for at in told_at] == [5.0, 7.0]
    assert [job.status for job in found] == [Status.FAILED, Status.COMPLETED]
    assert found[0].error is not None
    assert found[0].error.type == "timeout"
    assert (stuck, has_leftovers) == (1, True)


@pytest.mark.case("L5")
@pytest.mark.parametrize("shielded", [False, True])
async def test_a_handler_that_cleans_up_for_long_holds_the_end_of_its_worker_up_by_the_grace_only(
    make_case: MakeCase, *, shielded: bool
) -> None:
    case = make_case()
    cleanups: list[asyncio.Task[None]] = []

    @case.registry.job()
    async def tidy() -> None:
        try:
            await for_ever()
        finally:
            cleanup = start(case.clock.sleep(10), "cleanup")
            cleanups.append(cleanup)
            await (asyncio.shield(cleanup) if shielded else cleanup)

    await case.store.open()
    worker = case.worker()
    task = start(worker.run(), "worker")
    job_id = await case.push(tidy.job())
    await case.clock.rest()
    worker.stop()
    await case.clock.advance(5 + 3 * 2)
    assert task.done()
    status = await case.status(job_id)
    await case.clock.advance(20)
    await asyncio.wait(cleanups)

    assert (status.status, status.attempts, status.crashes) == (Status.PENDING, 0, 0)


@pytest.mark.case("L6")
async def test_a_finalizer_cancelled_at_any_point_of_its_write_finishes_every_job_once(
    make_case: MakeCase,
) -> None:
    case = make_case()
    chance = Random(6)

    @case.registry.job()
    async def quick(number: int) -> int:
        return number

    async with case.running() as worker:
        for number in range(1_000):
            await case.push(quick.job(number=number))
            for _ in range(chance.randrange(12)):
                await checkpoint()
            await worker._agents.stop("finalizer")
            worker._agents.start("finalizer", worker._finalizer.run)
        await case.clock.advance(1)
        jobs = await every_job(case.store)

    assert {(job.status, job.attempts) for job in jobs} == {(Status.COMPLETED, 1)}
    assert sorted(job.result for job in jobs) == list(range(1_000))


@pytest.mark.case("L6")
async def test_a_write_whose_caller_is_cancelled_leaves_the_state_before_or_after_it(
    make_case: MakeCase,
) -> None:
    case = make_case()
    chance = Random(66)

    @case.registry.job()
    async def any_job() -> None: ...

    await case.store.open()
    jobs = [any_job.job() for _ in range(1_000)]
    stored: list[bool] = []
    for job in jobs:
        writing = start(_pushed(case, job), "push")
        for _ in range(chance.randrange(8)):
            await checkpoint()
        writing.cancel()
        await join(writing)
    await case.clock.rest()
    for job in jobs:
        stored.append((await case.store.get([job.id])) != [None])
        if not stored[-1]:
            await case.push(job)

    assert {True, False} & set(stored)
    assert len(await every_job(case.store)) == 1_000
    created = [event.job_id for event in await every_event(case.store) if isinstance(event, JobCreated)]
    assert sorted(created) == sorted(job.id for job in jobs)


async def _pushed(case: Case, job: Any) -> None:
    await case.push(job)


@pytest.mark.case("L7")
async def test_a_cancelled_dispatch_stores_its_job_once_or_not_at_all_and_may_be_repeated(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    chance = Random(7)

    @engine.job()
    async def any_job(number: int) -> None: ...

    async with engine:
        for number in range(300):
            job = any_job.job(number=number)
            neighbours = [start(_dispatched(engine, any_job.job(number=-1)), "dispatch") for _ in range(2)]
            dispatching = start(_dispatched(engine, job), "dispatch")
            for _ in range(chance.randrange(8)):
                await checkpoint()
            dispatching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await dispatching
            for neighbour in neighbours:
                await neighbour
            again = await engine.dispatch(job)
            assert again.id == job.id
        counts = await engine.queues.stats("default")
        events = [event async for event in _first(engine, 3 * 300)]

    assert counts.counts == {"pending": 3 * 300}
    assert len({event.job_id for event in events}) == 3 * 300


async def _dispatched(engine: Any, job: Any) -> None:
    await engine.dispatch(job)


async def _first(engine: Any, count: int) -> Any:
    left = count
    async for event in engine.events(after=await engine._life.door().store.since(0)):
        yield event
        left -= 1
        if not left:
            return


@pytest.mark.case("L8")
async def test_a_handler_that_raises_leaves_those_beside_it_alone(make_case: MakeCase) -> None:
    case = make_case()
    together = asyncio.Event()

    @case.registry.job()
    async def steady(number: int) -> int:
        await together.wait()
        return number

    @case.registry.job(retry=Retry.none())
    async def raising() -> None:
        raise BaseExceptionGroup("all at once", [ValueError(), KeyboardInterrupt()])

    async with case.running():
        ids = [await case.push(steady.job(number=number)) for number in range(9)]
        failed = await case.until_final(await case.push(raising.job()))
        assert {(await case.status(job_id)).status for job_id in ids} == {Status.PROCESSING}
        together.set()
        found = [await case.until_final(job_id) for job_id in ids]

    assert failed.status is Status.FAILED
    assert [(job.status, job.result, job.attempts) for job in found] == [
        (Status.COMPLETED, number, 1) for number in range(9)
    ]


@pytest.mark.case("L11")
async def test_a_thread_past_its_timeout_fails_at_the_deadline_and_keeps_its_slot_until_it_ends(
    make_case: MakeCase,
) -> None:
    case = make_case(concurrency=1)
    begun, released = threading.Event(), threading.Event()

    @case.registry.job(timeout=5, retry=Retry.none())
    def stuck() -> None:
        begun.set()
        released.wait(30)

    @case.registry.job()
    async def next_one() -> None: ...

    async with case.running() as worker:
        first = await case.push(stuck.job())
        second = await case.push(next_one.job())
        await case.clock.rest()
        assert await asyncio.to_thread(begun.wait, 10)
        await case.clock.advance(5.1)
        failed, waiting = await case.status(first), await case.status(second)
        has_leftovers = worker.has_leftovers
        released.set()
        await case.until_real(second, Status.COMPLETED)

    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.type == "timeout"
    assert waiting.status is Status.PENDING
    assert has_leftovers


@pytest.mark.case("L11")
async def test_a_thread_that_was_never_begun_gives_its_slot_back_at_once(make_case: MakeCase) -> None:
    case = make_case(concurrency=2)
    begun, released = threading.Event(), threading.Event()

    @case.registry.job(timeout=0)
    def holds_the_only_thread() -> None:
        begun.set()
        released.wait(30)

    @case.registry.job(timeout=5, retry=Retry.none())
    def never_begins() -> None:
        raise AssertionError("there is no thread for it")

    @case.registry.job()
    async def next_one() -> None: ...

    async with case.running() as worker:
        worker._port._offload._threads.total_tokens = 1
        await case.push(holds_the_only_thread.job())
        await case.clock.rest()
        assert await asyncio.to_thread(begun.wait, 10)
        late = await case.push(never_begins.job())
        await case.clock.advance(5.1)
        found = await case.status(late)
        after = await case.until_final(await case.push(next_one.job()), seconds=10)
        released.set()

    assert found.status is Status.FAILED
    assert after.status is Status.COMPLETED


@pytest.mark.case("L12")
@pytest.mark.parametrize("rescued_by", ["itself", "another worker"])
async def test_a_job_that_comes_back_to_the_worker_that_runs_it_ends_its_first_run_before_the_second(
    make_case: MakeCase, rescued_by: str
) -> None:
    case = make_case()
    log: list[str] = []

    @case.registry.job(retry=Retry.none())
    async def task(ctx: JobContext) -> int:
        log.append(f"begin {ctx.token}")
        if ctx.token == 1:
            try:
                await for_ever()
            finally:
                log.append("lost 1")
        return ctx.token

    async with case.running() as worker:
        job_id = await case.push(task.job())
        await case.clock.rest()
        for agent in ("heartbeat", "guard", "rescuer", "promoter", "pruner"):
            await worker._agents.stop(agent)
        await case.clock.advance(3 * T)
        if rescued_by == "itself":
            worker._agents.start("rescuer", worker._rescuer.run)
        else:
            other = case.other()

            @other.registry.job(name="something_else")
            async def something_else() -> None: ...

            async with other.running():
                await case.clock.rest()
        await case.clock.advance(1)
        status = await case.status(job_id)

    assert log == ["begin 1", "lost 1", "begin 3"]
    assert (status.status, status.result, status.attempts, status.crashes) == (Status.COMPLETED, 3, 2, 1)


@pytest.mark.case("L13")
async def test_ten_thousand_cancelled_waits_leave_nothing_behind(make_case: MakeCase) -> None:
    from aiojobs_engine.ports.backend import Watch

    case = make_case()

    @case.registry.job()
    async def any_job() -> None: ...

    await case.store.open()
    watch = Watch("waiting", ("default",), (any_job.name,))
    threads, tasks = threading.active_count(), len(asyncio.all_tasks())
    chance = Random(13)
    for _ in range(100):
        waits = [start(case.store.wait(watch, 60.0), "wait") for _ in range(100)]
        for _ in range(chance.randrange(4)):
            await checkpoint()
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
    await case.clock.rest()

    assert threading.active_count() == threads
    assert len(asyncio.all_tasks()) == tasks
    assert case.clock._next_timer() is None
    job_id = await case.push(any_job.job())
    (claim,) = await case.store.claim(watch, 10, T)
    assert claim.envelope.id == job_id
