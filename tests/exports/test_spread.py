"""Parts of an export that are jobs of their own: several workers make them, one puts them together."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from aiojobs_engine import ConfigError, Engine, JobCancelledError, JobContext, JobFailedError, Retry, Status
from aiojobs_engine.testing import TestEngine
from tests.exports.conftest import User, exported, left_in, rows_of

ROWS = [[letter, str(n)] for letter in "abcde" for n in range(10)]


async def letters() -> list[str]:
    return list("abcde")


def spread_over(engine: Engine, made_by: list[str] | None = None, **options: Any) -> Any:
    options = {"parts": letters, "spread": True, "retry": Retry.none(), **options}

    @engine.exporter("users", columns=["email", "age"], **options)
    async def by_letter(ctx: JobContext, least: int = 0) -> AsyncIterator[User]:
        if made_by is not None:
            made_by.append(ctx.id)
        for n in range(10):
            if n >= least:
                yield User(ctx.part, n)

    return by_letter


async def test_each_part_is_a_job_and_the_file_has_them_in_order(engine: Engine, tmp_path: Path) -> None:
    jobs: list[str] = []
    file, status = await exported(engine, spread_over(engine, jobs), to="users.csv")

    assert rows_of("users.csv")[1:] == ROWS
    assert (status.status, status.strategy) == (Status.COMPLETED, "batch")
    assert (status.processed, status.total, file.rows) == (50, 50, 50)
    assert sorted(jobs) == [f"{status.id}.0.{n}" for n in range(5)]
    assert left_in(tmp_path) == ["users.csv"]
    async with engine:
        parts = [job async for job in engine.jobs.list(parent_id=status.id)]
    assert {(job.status, job.kind, job.processed) for job in parts} == {(Status.COMPLETED, "export", 10)}


async def test_several_workers_make_the_parts(tmp_path: Path) -> None:
    made_by: set[int] = set()
    together = asyncio.Event()
    engines = [Engine("sqlite:///jobs.db") for _ in range(2)]

    def declared(engine: Engine, number: int) -> Any:
        @engine.exporter("users", columns=["email", "age"], parts=letters, spread=True)
        async def by_letter(ctx: JobContext) -> AsyncIterator[User]:
            made_by.add(number)
            if len(made_by) == 2:
                together.set()
            await together.wait()
            for n in range(10):
                yield User(ctx.part, n)

        return by_letter

    exports = [declared(engine, number) for number, engine in enumerate(engines)]
    async with engines[0] as one, engines[1] as two:
        handle = await one.dispatch(exports[0], to="users.csv")
        workers = [one.worker(concurrency=2), two.worker(concurrency=2)]
        running = [asyncio.create_task(worker.run()) for worker in workers]  # noqa: TID251 - two workers in one loop
        await handle.result(timeout=60)
        for worker in workers:
            worker.stop()
        await asyncio.gather(*running)
    assert made_by == {0, 1}
    assert rows_of("users.csv")[1:] == ROWS


async def test_a_worker_with_one_slot_makes_them_all(tmp_path: Path) -> None:
    engine = Engine("memory://", config={"worker": {"concurrency": 1}})
    await exported(engine, spread_over(engine, key="age"), to="users.csv")
    assert rows_of("users.csv")[1:] == ROWS


async def test_a_part_that_fails_fails_the_export_and_a_retry_makes_it_anew(
    engine: Engine, tmp_path: Path
) -> None:
    broken = {"c"}

    @engine.exporter("users", columns=["email", "age"], parts=letters, spread=True, retry=Retry.none())
    async def by_letter(ctx: JobContext) -> AsyncIterator[User]:
        for n in range(10):
            if ctx.part in broken:
                raise LookupError("no such letter")
            yield User(ctx.part, n)

    async with engine:
        handle = await engine.dispatch(by_letter, to="users.csv")
        await engine.worker(burst=True).run()
        with pytest.raises(JobFailedError, match="the part 'c' ended as failed: no such letter"):
            await handle.result(timeout=0)
        status = await handle.status()
        assert (status.processed, status.total) == (40, 40)
        assert left_in(tmp_path) == []
        broken.clear()
        await handle.retry()
        await engine.worker(burst=True).run()
        assert (await handle.result(timeout=0)).rows == 50
    assert rows_of("users.csv")[1:] == ROWS


async def test_a_part_that_is_tried_again_counts_once(engine: Engine) -> None:
    breaks = {"a", "d"}

    @engine.exporter(
        "users", columns=["email", "age"], parts=letters, spread=True, retry=Retry.fixed(2, delay=0)
    )
    async def by_letter(ctx: JobContext) -> AsyncIterator[User]:
        for n in range(10):
            if n == 5 and ctx.part in breaks:
                breaks.remove(ctx.part)
                raise ConnectionError
            yield User(ctx.part, n)

    _, status = await exported(engine, by_letter, to="users.csv")
    assert rows_of("users.csv")[1:] == ROWS
    assert (status.processed, status.total) == (50, 50)


async def test_a_paused_one_holds_its_parts(engine: Engine) -> None:
    started = asyncio.Event()
    goes_on = asyncio.Event()

    @engine.exporter("users", columns=["email", "age"], parts=letters, spread=True, concurrency=1)
    async def by_letter(ctx: JobContext) -> AsyncIterator[User]:
        started.set()
        await goes_on.wait()
        for n in range(10):
            yield User(ctx.part, n)

    async with engine:
        handle = await engine.dispatch(by_letter, to="users.csv")
        worker = engine.worker(concurrency=1)
        running = asyncio.create_task(worker.run())  # noqa: TID251 - a worker beside the test
        await started.wait()
        await engine.jobs.pause(handle.id)
        goes_on.set()
        worker.stop()
        await running
        await engine.worker(burst=True).run()
        held = [job.status async for job in engine.jobs.list(parent_id=handle.id)]
        assert sorted(held) == [Status.COMPLETED, *[Status.PAUSED] * 4]
        assert (await handle.status()).status is Status.WAITING
        await engine.jobs.resume(handle.id)
        await engine.worker(burst=True).run()
        assert (await handle.result(timeout=0)).rows == 50
    assert rows_of("users.csv")[1:] == ROWS


async def test_a_cancelled_one_leaves_no_file(engine: Engine, tmp_path: Path) -> None:
    async with engine:
        handle = await engine.dispatch(spread_over(engine), to="users.csv")
        async with asyncio.timeout(60):
            worker = engine.worker(concurrency=1)
            running = asyncio.create_task(worker.run())  # noqa: TID251 - a worker beside the test
            async for event in handle.events():
                if event.status is Status.WAITING:
                    break
            await handle.cancel()
            with pytest.raises(JobCancelledError):
                await handle.result(timeout=30)
            worker.stop()
            await running
        await engine.jobs.delete(handle.id)
    assert left_in(tmp_path) == []


async def test_parts_whose_rows_are_gone_are_told(tmp_path: Path) -> None:
    engine = Engine("memory://")
    export = spread_over(engine)
    one_by_one = anyio.Lock()

    @engine.middleware
    async def lose(ctx: JobContext, call_next: Any) -> Any:
        async with one_by_one:  # what a part is writing must not go, only what one has written
            made = await call_next()
            await engine.storage.remove(ctx.id.partition(".")[0])
            return made

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(export, to=str(tmp_path / "users.csv"))
        await t.drain()
        with pytest.raises(JobFailedError, match="all workers need the same storage"):
            await handle.result(timeout=0)


def test_only_parts_can_be_spread() -> None:
    engine = Engine("memory://")
    with pytest.raises(ConfigError, match="spread=True makes jobs of its parts, so it needs parts="):
        spread_over(engine, parts=None)
    with pytest.raises(ConfigError, match="spread=True makes jobs"):
        spread_over(engine, spread="yes")
