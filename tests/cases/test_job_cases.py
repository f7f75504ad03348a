"""J: jobs, payloads and numbers of them that a queue must bear."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import (
    BackendFull,
    IdConflict,
    IllegalTransition,
    JobCancelledError,
    JobNotFound,
    LeaseLostError,
    TooLate,
)
from aiojobs_engine.core.instant import Instant, later
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.engine import Engine
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.testing.clock import ManualClock
from tests.cases.conftest import MakeCase, MakeEngine
from tests.cases.invariants import every_job
from tests.cases.stores import Case, clock_of, store_of, work_off


@pytest.mark.case("J1")
async def test_a_job_that_always_raises_uses_its_attempts_up_and_is_one_dead_letter(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    started: list[float] = []

    @engine.job(retry=Retry.exponential(max_attempts=4, base=2, multiplier=3, cap=10, jitter=0.15))
    async def poison() -> None:
        started.append(engine.clock.monotonic())
        raise ValueError("always")

    @engine.job()
    async def healthy(number: int) -> int:
        return number

    async with engine:
        dead = await engine.dispatch(poison)
        others = [await engine.dispatch(healthy, number=number) for number in range(20)]
        await work_off(engine)
        status = await dead.status()
        letters = (await engine.dead.list()).items
        results = [await other.result(timeout=0) for other in others]

    assert (status.status, status.attempts) == (Status.FAILED, 4)
    assert [letter.id for letter in letters] == [dead.id]
    assert results == list(range(20))
    delays = [b - a for a, b in pairwise(started)]
    for delay, plain in zip(delays, [2, 6, 18], strict=True):
        assert min(plain * 0.85, 10) - 0.01 <= delay <= min(plain * 1.15, 10) + 1.1


@pytest.mark.case("J2")
async def test_a_job_whose_type_no_worker_knows_stays_queued_visible_and_uncharged(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()

    @engine.job()
    async def known() -> None: ...

    async with engine:
        lost = await engine.dispatch("app.unknown", queue="default", number=1)
        for _ in range(3):
            await engine.dispatch(known)
            await work_off(engine)
        status = await lost.status()
        listed = [job.id async for job in engine.jobs.list(status="pending")]
        ended = (await engine.queues.stats("default")).counts

    assert (status.status, status.attempts, status.crashes) == (Status.PENDING, 0, 0)
    assert listed == [lost.id]
    assert ended == {"pending": 1, "completed": 3}


@pytest.mark.case("J2")
async def test_jobs_that_no_worker_knows_cost_a_worker_no_claim_and_no_turn(make_case: MakeCase) -> None:
    case = make_case()

    @case.registry.job()
    async def known() -> None: ...

    stranger = case.other()

    @stranger.registry.job(name="unknown")
    async def unknown() -> None: ...

    await case.store.open()
    for _ in range(200):
        await case.push(unknown.job())
    async with case.running() as worker:
        await case.clock.advance(30)
        assert worker._watcher.claimed == 0
        status = await case.until_final(await case.push(known.job()))

    assert status.status is Status.COMPLETED


@pytest.mark.case("J8")
async def test_what_a_caller_changes_after_the_dispatch_does_not_reach_the_job(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    seen: list[Any] = []

    @engine.job()
    async def takes(ctx: JobContext, rows: list[dict[str, int]]) -> None:
        seen.append((rows, dict(ctx.meta), ctx.tags))
        rows.append({"c": 3})

    rows, meta, tags = [{"a": 1}], {"page": [1]}, ["nightly"]
    async with engine:
        job = takes.options(meta=meta, tags=tags, retry=Retry.fixed(2, 0)).job(rows=rows)
        await engine.dispatch(job)
        rows[0]["a"] = 2
        rows.append({"b": 2})
        meta["page"].append(2)
        tags.append("late")
        status = await engine.jobs.get(job.id)
        assert isinstance(status.meta, dict)
        status.meta["page"].append(3)
        await work_off(engine)
        after = await engine.jobs.get(job.id)

    assert seen == [([{"a": 1}, {"c": 3}], {"page": [1]}, ("nightly",))]
    assert after.meta == {"page": [1]}


@pytest.mark.case("J10")
async def test_a_full_memory_store_refuses_whole_dispatches_until_there_is_room() -> None:
    clock = ManualClock()
    store = MemoryBackend(clock=clock, max_jobs=10)
    engine = Engine(backend=store, clock=clock)

    @engine.job()
    async def any_job(number: int) -> None: ...

    async with engine:
        await engine.dispatch_many(any_job.job(number=number) for number in range(9))
        with pytest.raises(BackendFull, match="at most 10 jobs"):
            await engine.dispatch_many(any_job.job(number=number) for number in range(2))
        assert len(await every_job(store)) == 9
        last = any_job.job(number=9)
        await engine.dispatch(last)
        with pytest.raises(BackendFull, match="at most 10 jobs"):
            await engine.dispatch(any_job, number=10)
        assert not (await engine.dispatch(last)).created
        await work_off(engine)
        assert {job.status for job in await every_job(store)} == {Status.COMPLETED}
        await engine.queues.purge("default")
        await engine.jobs.delete(last.id)
        assert (await engine.dispatch(any_job, number=11)).created


@pytest.mark.case("J9", "J11")
async def test_ten_thousand_jobs_due_at_once_are_claimed_no_faster_than_they_can_run(
    make_case: MakeCase,
) -> None:
    case = make_case()
    store, calls = case.store, []
    running = most = ran = 0

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def claim(self, watch: Watch, limit: int, *rest: Any) -> Any:
            claims = await store.claim(watch, limit, *rest)
            calls.append((limit, len(claims), running))
            return claims

        async def promote(self, limit: int) -> Any:
            assert limit <= 1_000
            return await store.promote(limit)

    @case.registry.job()
    async def one(number: int) -> None:
        nonlocal running, most, ran
        running += 1
        most = max(most, running)
        await case.clock.sleep(0)
        running -= 1
        ran += 1

    await store.open()
    due = later(case.clock.now(), 5)
    await store.enqueue([_due(case, one.job(number=number), due) for number in range(10_000)])
    case.store = Counted()
    async with case.running():
        await case.clock.advance(4.9)
        assert ran == 0
        while ran < 10_000:
            await case.clock.advance(0.1)

    assert most == 10
    assert max(limit for limit, _, _ in calls) <= 10 + 200


def _due(case: Case, job: Job[Any], at: Instant) -> Envelope:
    return Envelope(
        id=job.id,
        type=job.type,
        payload=msgspec.Raw(job.payload),
        created_at=case.clock.now(),
        scheduled_at=at,
    )


@pytest.mark.case("J13")
async def test_an_id_that_comes_again_is_the_same_job_or_a_conflict(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(number: int) -> int:
        return number

    @engine.job()
    async def takes_too(number: int) -> int:
        return -number

    async with engine:
        first = await engine.dispatch(takes.options(id="order-1"), number=1)
        again = await engine.dispatch(takes.options(id="order-1"), number=1)
        assert (first.created, again.created) == (True, False)
        for other in (
            takes.options(id="order-1").job(number=2),
            takes_too.options(id="order-1").job(number=1),
            takes.options(id="order-1", queue="mail").job(number=1),
        ):
            with pytest.raises(IdConflict, match="order-1"):
                await engine.dispatch(other)
        await work_off(engine)
        assert not (await engine.dispatch(takes.options(id="order-1"), number=1)).created
        assert await again.result(timeout=0) == 1
        assert len(await every_job(store_of(engine))) == 1


@pytest.mark.case("J14")
async def test_a_cancel_ends_a_queued_job_tells_a_running_one_and_comes_too_late_for_an_ended_one(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    clock = clock_of(engine)
    cleaned: list[float] = []

    @engine.job()
    async def slow() -> None:
        try:
            await clock.sleep(100)
        finally:
            cleaned.append(clock.monotonic())

    @engine.job()
    async def quick() -> None: ...

    async with engine:
        queued = await engine.dispatch(slow.options(delay=60))
        await queued.cancel()
        await queued.cancel()
        assert (await queued.status()).status is Status.CANCELLED
        async with engine.running():
            running, ended = await engine.dispatch(slow), await engine.dispatch(quick)
            await clock.rest()
            asked_at = clock.monotonic()
            await running.cancel()
            await running.cancel()
            await clock.advance(2.0 / 3)
            assert (await running.status()).status is Status.CANCELLED
            with pytest.raises(JobCancelledError):
                await running.result(timeout=0)
            with pytest.raises(TooLate, match=r"completed, so it can't be cancelled"):
                await ended.cancel()
        with pytest.raises(JobNotFound):
            await engine.jobs.cancel("never-was")

    assert cleaned[0] - asked_at <= 2.0 / 3 + 0.01


@pytest.mark.case("J15")
async def test_a_queue_that_is_paused_purged_and_deleted_under_load_keeps_no_orphan(
    make_case: MakeCase,
) -> None:
    case = make_case(concurrency=20)
    engine = Engine(backend=case.store, clock=case.clock, config=case.settings)
    lost: list[str] = []
    release: list[float] = []

    @case.registry.job(name="task")
    async def task(ctx: JobContext, number: int) -> None:
        await case.clock.sleep(0.5 + number % 7 / 10)
        try:
            await ctx.progress(1, 1)
        except LeaseLostError:
            lost.append(ctx.id)
            raise
        release.append(case.clock.monotonic())

    async with engine, case.running():
        ids = [await case.push(task.job(number=number)) for number in range(100)]
        await case.clock.advance(0.3)
        await engine.queues.pause("default")
        running = [job.id async for job in engine.jobs.list(status="processing")]
        assert len(running) == 20
        with pytest.raises(IllegalTransition, match="processing, so it can't be deleted"):
            await engine.jobs.delete(running[0])
        purged = await engine.queues.purge("default")
        await case.clock.advance(5)
        left = {job.id: job.status for job in await every_job(case.store)}
        await engine.queues.resume("default")
        await case.clock.advance(5)
        counts = {key: count for key, count in (await case.store.counts()).items() if count}

    assert purged == 80
    assert lost == []
    assert left == dict.fromkeys(running, Status.COMPLETED)
    assert set(left) <= set(ids)
    assert counts == {("default", Status.COMPLETED): 20}


@pytest.mark.case("J15")
async def test_a_run_of_a_job_that_was_deleted_meanwhile_has_lost_its_lease(make_case: MakeCase) -> None:
    case = make_case()

    @case.registry.job()
    async def task() -> None: ...

    await case.store.open()
    job = task.job()
    await case.push(job)
    watch = Watch("slow", ("default",), (task.name,))
    (claim,) = await case.store.claim(watch, 1, 2.0)
    await case.clock.advance(3)
    (rescued,) = await case.store.rescue("other", 1, 2.0)
    assert await case.store.cancel([job.id])
    async with case.running():
        await case.clock.advance(5)
        assert await case.store.delete([job.id]) == [True]
        await case.push(job)
        answers = await case.store.extend([claim.lease, rescued.lease], 2.0)
        await case.clock.advance(5)

    assert [answer.held for answer in answers] == [False, False]
