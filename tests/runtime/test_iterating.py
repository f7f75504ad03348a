"""Long loops that go on where they were, kinds of jobs, and progress from threads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, JobStatus, PayloadError, Retry, Status
from aiojobs_engine.testing import TestEngine

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine() -> Engine:
    return Engine("memory://")


class Feed:
    """Days to work through, one a second; now and then it breaks."""

    def __init__(self, days: int = 20) -> None:
        self.days = days
        self.begun: list[datetime | None] = []
        self.breaks_at: set[int] = set()
        self.handled: list[int] = []

    async def after(self, cursor: datetime | None) -> AsyncIterator[tuple[int, datetime]]:
        self.begun.append(cursor)
        start = 0 if cursor is None else (cursor - FIRST).days + 1
        for day in range(start, self.days):
            if day in self.breaks_at:
                self.breaks_at.remove(day)
                raise ConnectionError
            yield day, FIRST + timedelta(days=day)


def syncing(engine: Engine, feed: Feed, **options: Any) -> Any:
    @engine.job(kind="sync", name="sync_days", retry=Retry.fixed(5, delay=0), **options)
    async def sync_days(ctx: JobContext) -> int:
        async for day in ctx.iterate(feed.after, total=feed.days):
            await ctx.engine.clock.sleep(1)
            feed.handled.append(day)
        return len(feed.handled)

    return sync_days


async def pass_time(t: TestEngine, seconds: int) -> None:
    for _ in range(seconds):
        await t.advance(1)


async def test_an_iterable_job_goes_on_where_it_was(engine: Engine) -> None:
    feed = Feed()
    feed.breaks_at = {7, 15}
    job = syncing(engine, feed)
    async with TestEngine(engine, patience=0.02) as t:
        handle = await engine.dispatch(job)
        await t.drain()
        await pass_time(t, 40)
        status = await handle.status()
    assert (status.status, status.kind, status.attempts) == (Status.COMPLETED, "sync", 3)
    assert (status.processed, status.succeeded, status.total) == (20, 20, 20)
    assert feed.begun == [None, FIRST + timedelta(days=6), FIRST + timedelta(days=14)]
    assert feed.handled == list(range(20))


async def test_a_pause_stops_between_items(engine: Engine) -> None:
    feed = Feed()
    job = syncing(engine, feed)
    async with TestEngine(engine, patience=0.02) as t:
        handle = await engine.dispatch(job)
        await t.drain()
        await pass_time(t, 5)
        await engine.jobs.pause(handle.id)
        await pass_time(t, 10)
        paused = await handle.status()
        handled = list(feed.handled)
        await engine.jobs.resume(handle.id)
        await t.drain()
        await pass_time(t, 30)
        status = await handle.status()
    assert paused.status is Status.PAUSED
    assert 0 < paused.processed == len(handled) < 20
    assert (status.processed, status.attempts, feed.handled) == (20, 1, list(range(20)))


async def test_a_shutdown_stops_between_items_and_loses_none() -> None:
    engine = Engine("memory://", config={"worker": {"drain_timeout": 5.0}})
    feed = Feed()
    job = syncing(engine, feed)
    async with TestEngine(engine, patience=0.02) as t:
        handle = await engine.dispatch(job)
        await t.drain()
        await pass_time(t, 5)
        assert t._worker is not None
        t._worker.stop()
        await pass_time(t, 5)
        stopped = len(feed.handled)
        await t.drain()
        await pass_time(t, 40)
        status: JobStatus = await handle.status()
    assert 0 < stopped < 20
    assert (status.status, status.attempts, feed.handled) == (Status.COMPLETED, 1, list(range(20)))


async def test_a_plain_iterator_will_do(engine: Engine) -> None:
    seen: list[int] = []

    def numbers(cursor: int | None) -> Iterator[tuple[int, int]]:
        return iter([(n, n) for n in range(0 if cursor is None else cursor + 1, 5)])

    @engine.job(kind="report")
    async def report(ctx: JobContext) -> None:
        async for n in ctx.iterate(numbers):
            seen.append(n)  # noqa: PERF401 - the loop is what is tested

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(report)
        await t.drain()
        status = await handle.status()
    assert (seen, status.processed, status.total, status.kind) == ([0, 1, 2, 3, 4], 5, 5, "report")


def untyped(cursor: Any) -> Iterator[tuple[int, Any]]:
    yield 1, UUID(int=1)


def nothing_to_keep(cursor: int | None) -> Iterator[tuple[int, int | None]]:
    yield 1, None


def no_pairs(cursor: int | None) -> Iterator[Any]:
    yield 1


def no_parameter() -> Iterator[Any]:
    yield 1, 1


@pytest.mark.parametrize(
    "build, error, words",
    [
        (untyped, PayloadError, "would come back as '00000000-.*annotate the parameter"),
        (nothing_to_keep, ConfigError, "gave the cursor None"),
        (no_pairs, ConfigError, "yields pairs"),
        (no_parameter, ConfigError, "a function of one cursor"),
        (42, ConfigError, "a function of one cursor"),
    ],
)
async def test_what_can_not_be_kept_is_told(
    engine: Engine, build: Any, error: type[Exception], words: str
) -> None:
    @engine.job()
    async def wrong(ctx: JobContext) -> None:
        async for _ in ctx.iterate(build):
            pass

    async with TestEngine(engine) as t:
        with pytest.raises(error, match=words):
            await t.run(wrong)


async def test_a_kind_has_its_own_settings_and_can_be_found() -> None:
    engine = Engine("memory://", config={"kinds": {"report": {"queue": "reports", "timeout": 9.0}}})

    @engine.job(kind="report")
    async def monthly() -> None: ...

    @engine.job(kind="sync", retry=Retry.none())
    async def failing(ctx: JobContext) -> None:
        await ctx.progress(3, 10)
        raise LookupError

    async with TestEngine(engine) as t:
        report, sync = await engine.dispatch(monthly), await engine.dispatch(failing)
        await t.drain()
        assert [job.id for job in (await engine.jobs.list(kind="report")).items] == [report.id]
        assert (await report.status()).queue == "reports"
        status = await sync.status()
        assert [job.id for job in (await engine.dead.list()).items] == [sync.id]
    assert (status.status, status.succeeded, status.failed, status.total) == (Status.FAILED, 3, 0, 10)


@pytest.mark.parametrize(
    "kind, words", [("import", "@engine.importer"), ("export", "@engine.exporter"), ("a b", "kind")]
)
def test_a_kind_is_a_name_that_is_free(engine: Engine, kind: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):

        @engine.job(kind=kind)
        async def wrong() -> None: ...


async def test_a_thread_tells_its_progress_and_keeps_its_place(engine: Engine) -> None:
    reads: list[tuple[int, int, str | None]] = []
    looked = threading.Event()
    asked = threading.Event()

    @engine.job(retry=Retry.fixed(2, delay=0))
    def count(ctx: JobContext) -> int:
        start = ctx.cursor or 0
        ctx.progress(start + 5, 10, "half way")
        if ctx.attempt == 1:
            asked.set()
            looked.wait(10)
            ctx.checkpoint(5)
            raise LookupError
        return int(start)

    async with TestEngine(engine, patience=0.05) as t:
        handle = await engine.dispatch(count)
        await t.drain()
        await asyncio.to_thread(asked.wait)
        seen = await handle.status()
        reads.append((seen.processed, seen.total, seen.message))
        looked.set()
        while not (await handle.status()).attempts:
            await t.drain()
        await t.advance(1)
        status = await handle.status()
        assert await handle.result() == 5
    assert reads == [(5, 10, "half way")]
    assert (status.processed, status.total, status.attempts) == (10, 10, 2)


async def test_a_thread_that_is_to_stop_ends_at_its_checkpoint(engine: Engine) -> None:
    reached: list[int] = []
    paused = threading.Event()

    @engine.job()
    def count(ctx: JobContext) -> None:
        reached.append(ctx.cursor or 0)
        if not ctx.cursor:
            paused.wait(10)
            ctx.checkpoint(1)
            reached.append(-1)

    async with TestEngine(engine, patience=0.05) as t:
        handle = await engine.dispatch(count)
        while not reached:
            await t.drain()
        await engine.jobs.pause(handle.id)
        await t.advance(5)
        paused.set()
        while (await handle.status()).status is not Status.PAUSED:
            await t.drain()
        await engine.jobs.resume(handle.id)
        while (await handle.status()).status is not Status.COMPLETED:
            await t.drain()
    assert reached == [0, 1]


async def test_a_thread_of_somebody_else_is_refused(engine: Engine) -> None:
    errors: list[Exception] = []

    @engine.job()
    def count(ctx: JobContext) -> None:
        def inner() -> None:
            try:
                ctx.progress(1)
            except ConfigError as error:
                errors.append(error)

        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()

    async with TestEngine(engine) as t:
        await t.run(count)
    assert "the thread that runs the handler" in str(errors[0])
