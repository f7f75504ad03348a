"""Waiting for results: without polling, without gaps, with typed ends."""

import asyncio
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import (
    BackendClosed,
    Discard,
    Engine,
    JobCancelledError,
    JobDiscardedError,
    JobExpiredError,
    JobFailedError,
    JobNotFound,
    PayloadError,
    ResultExpiredError,
    Retry,
)
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing import ManualClock, TestEngine
from tests.engine.tasks import begin


class Counting(MemoryBackend):
    """Counts what waiting costs."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock=clock)
        self.reads = 0
        self.looks = 0

    async def read(self, after: str | None, limit: int) -> Any:
        self.reads += 1
        return await super().read(after, limit)

    async def results(self, ids: Any) -> Any:
        self.looks += 1
        return await super().results(ids)


async def test_every_end_has_its_error() -> None:
    engine = Engine("memory://")

    @engine.job(name="fail", retry=Retry.none())
    async def fail() -> None:
        raise ValueError("broken")

    @engine.job(name="discard")
    async def discard() -> None:
        raise Discard("not wanted")

    async with TestEngine(engine) as t:
        failed, discarded = await engine.dispatch(fail), await engine.dispatch(discard)
        late = await engine.dispatch(fail.options(delay=0, expires=1))
        cancelled = await engine.dispatch(fail.options(delay=60))
        await cancelled.cancel()
        t.clock._elapsed_us += 2_000_000
        await t.drain()

        with pytest.raises(JobFailedError, match="ValueError: broken"):
            await failed.result()
        with pytest.raises(JobDiscardedError, match="not wanted"):
            await discarded.result()
        with pytest.raises(JobExpiredError):
            await late.result()
        with pytest.raises(JobCancelledError):
            await cancelled.result()


async def test_a_result_is_kept_for_its_time() -> None:
    engine = Engine("memory://")

    @engine.job(name="seven", result_ttl=60)
    async def seven() -> int:
        return 7

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(seven)
        await t.drain()

        assert await handle.result() == 7
        await t.advance(61)
        with pytest.raises(ResultExpiredError):
            await handle.result()


async def test_a_result_that_cannot_be_stored_is_an_error_of_the_result() -> None:
    engine = Engine("memory://")

    @engine.job(name="bad")
    async def bad() -> Any:
        return object()

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(bad)

        assert await t.drain() == {"completed": 1}
        with pytest.raises(PayloadError, match="could not be stored"):
            await handle.result()


async def test_waiting_ends_with_the_job(engine: Engine) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    @engine.job(name="slow")
    async def slow() -> str:
        started.set()
        await release.wait()
        return "done"

    async with engine.running():
        handle = await engine.dispatch(slow)
        await started.wait()
        waiting = [begin(handle.result(timeout=20)) for _ in range(5)]
        await checkpoint()
        release.set()

        assert await asyncio.gather(*waiting) == ["done"] * 5


async def test_a_thousand_can_wait_for_the_cost_of_a_few_reads() -> None:
    store = Counting(SystemClock())
    engine = Engine(backend=store)

    @engine.job(name="same")
    async def same(number: int) -> int:
        return number

    async with engine:
        handles = await engine.dispatch_many(same.job(number=number) for number in range(1000))
        waiting = asyncio.gather(*(handle.result(timeout=20) for handle in handles))
        async with engine.running():
            assert await waiting == list(range(1000))

    assert store.looks <= 200
    assert store.reads <= 400


async def test_nobody_reads_the_stream_while_nobody_waits() -> None:
    clock = ManualClock()
    store = Counting(clock)
    engine = Engine(backend=store, clock=clock)

    @engine.job(name="same")
    async def same() -> int:
        return 1

    async with engine:
        handle = await engine.dispatch(same)
        waiting = begin(handle.result())
        await clock.rest()
        await engine.worker(burst=True).run()
        assert await waiting == 1
        await clock.rest()
        before = store.reads
        await engine.dispatch_many(same.job() for _ in range(100))
        await engine.worker(burst=True).run()

    assert store.reads <= before + 1


async def test_a_timeout_ends_the_waiting_and_not_the_job() -> None:
    engine = Engine("memory://")

    @engine.job(name="later")
    async def later() -> int:
        return 1

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(later.options(delay=60))
        waiting = begin(handle.result(timeout=10))
        await t.advance(11)

        with pytest.raises(TimeoutError, match=r"did not end within 10 s"):
            await waiting
        await t.advance(60)
        assert await handle.result(timeout=0) == 1


async def test_no_time_at_all_just_looks(engine: Engine) -> None:
    @engine.job(name="never")
    async def never() -> None: ...

    async with engine:
        handle = await engine.dispatch(never)

        with pytest.raises(TimeoutError, match="it is pending"):
            await handle.result(timeout=0)


async def test_cancelling_one_who_waits_leaves_the_others_waiting() -> None:
    engine = Engine("memory://")

    @engine.job(name="same")
    async def same() -> int:
        return 1

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(same)
        first, second = (begin(handle.result()) for _ in range(2))
        await t.clock.rest()
        first.cancel()
        await t.drain()

        assert await second == 1
        assert first.cancelled()


async def test_a_job_that_is_not_there_has_no_result(engine: Engine) -> None:
    async with engine:
        with pytest.raises(JobNotFound):
            await engine.handle("nobody").result(timeout=5)


async def test_a_job_that_is_deleted_meanwhile_ends_the_waiting() -> None:
    engine = Engine("memory://")

    @engine.job(name="same")
    async def same() -> int:
        return 1

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(same.options(delay=3600))
        waiting = begin(handle.result())
        await t.clock.rest()
        await engine.jobs.delete(handle.id)
        await t.advance(60)

        with pytest.raises(JobNotFound):
            await waiting


async def test_closing_tells_those_who_wait(engine: Engine) -> None:
    @engine.job(name="never")
    async def never() -> None: ...

    async with engine:
        handle = await engine.dispatch(never)
        waiting = begin(handle.result())
        while not engine._life.door().follower._waiters:
            await checkpoint()

    with pytest.raises(BackendClosed):
        await waiting


async def test_a_result_of_a_type_that_is_not_here_is_plain_data() -> None:
    store = MemoryBackend(clock=SystemClock())
    back, front = Engine(backend=store), Engine(backend=store)

    @back.job(name="pair")
    async def pair() -> dict[str, int]:
        return {"a": 1}

    async with back.running():
        made = await back.dispatch(pair)
        await made.result(timeout=10)
        async with front:
            assert await front.handle(made.id).result(timeout=10) == {"a": 1}


async def test_a_result_comes_from_a_worker_of_another_engine_on_the_same_file() -> None:
    def made() -> tuple[Engine, Any]:
        engine = Engine("sqlite:///shared.db")

        @engine.job(name="same")
        async def same(number: int) -> int:
            return number

        return engine, same

    front, same = made()
    back, _ = made()

    async with front, back.running():
        handles = await front.dispatch_many(same.job(number=number) for number in range(300))

        results = await asyncio.gather(*(handle.result(timeout=20) for handle in handles))

    assert results == list(range(300))


async def test_who_waits_where_no_worker_serves_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)

    @engine.job(name="lonely", queue="nobody")
    async def lonely() -> None: ...

    @engine.job(name="served", queue="somebody")
    async def served() -> None:
        await asyncio.Event().wait()

    async with engine:
        worker = engine.worker(queues=["somebody"])
        running = asyncio.get_running_loop().create_task(worker.run())
        handles = [await engine.dispatch(job_type) for job_type in (lonely, lonely, served)]
        waiting = [asyncio.get_running_loop().create_task(handle.result()) for handle in handles]
        await clock.advance(4)
        early = caplog.text
        await clock.advance(60)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        worker.stop_now()
        await clock.advance(60)
        await running

    told = [
        record.getMessage() for record in caplog.records if "which no worker serves" in record.getMessage()
    ]
    assert "no worker" not in early
    assert len(told) == 1
    assert "'nobody'" in told[0]
