"""Exports that are cut short: what a checkpoint keeps, and what a later run does with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import Engine, JobContext, JobHandle, JobStatus, Retry, Status
from aiojobs_engine.testing import TestEngine
from tests.exports.conftest import User, left_in, rows_of


class Database:
    """Users by age; now and then it is slow, or goes away."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[Any] = []
        self.breaks_at: set[int] = set()

    async def stream(self, ctx: JobContext, after: int | None) -> AsyncIterator[User]:
        self.asked.append(after)
        for n in range(0 if after is None else after + 1, self.count):
            if n in self.breaks_at:
                self.breaks_at.remove(n)
                raise ConnectionError
            if n % 10 == 9:
                await ctx.engine.clock.sleep(1.5)
            yield User("a", n)


@pytest.fixture
def memory() -> Engine:
    return Engine("memory://")


def keyed(engine: Engine, database: Database, **options: Any) -> Any:
    options = {"key": "age", "retry": Retry.fixed(9, delay=0), **options}

    @engine.exporter("users", columns=["email", "age"], **options)
    async def export_users(ctx: JobContext) -> AsyncIterator[User]:
        async for row in database.stream(ctx, ctx.cursor):
            yield row

    return export_users


async def pass_time(t: TestEngine, seconds: int) -> None:
    """Let so much time pass, less when all jobs have ended; the threads of the storage keep up with it."""
    for _ in range(seconds):
        await t.advance(1)
        counts = await t.drain()
        if not {"pending", "processing", "retrying", "paused"} & counts.keys():
            return


@asynccontextmanager
async def running(
    engine: Engine, export: Any, *, seconds: int
) -> AsyncIterator[tuple[TestEngine, JobHandle[Any]]]:
    """An export that was dispatched so many seconds ago, or has ended before."""
    async with TestEngine(engine, patience=0.03) as t:
        handle = await engine.dispatch(export, to="users.csv")
        await t.drain()
        await pass_time(t, seconds)
        yield t, handle


async def ended(engine: Engine, export: Any) -> JobStatus:
    """The status of an export that nobody stops."""
    async with running(engine, export, seconds=99) as (_, handle):
        return await handle.status()


async def paused_after(seconds: int, engine: Engine, export: Any) -> tuple[JobStatus, JobStatus]:
    """The status of an export in its pause, and at its end."""
    async with running(engine, export, seconds=seconds) as (t, handle):
        await engine.jobs.pause(handle.id)
        await pass_time(t, 10)
        paused = await stopped(handle)
        await engine.jobs.resume(handle.id)
        await t.drain()
        await pass_time(t, 99)
        return paused, await handle.status()


async def stopped(handle: JobHandle[Any]) -> JobStatus:
    """The status as soon as the run has ended, for which threads may need their time."""
    async with asyncio.timeout(30):
        while (status := await handle.status()).status is Status.PROCESSING:
            await checkpoint()
    return status


def ages(path: Path) -> list[int]:
    return [int(row[-1]) for row in rows_of(path)[1:]]


@pytest.mark.case("J19")
async def test_a_run_goes_on_behind_the_last_checkpoint(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    database.breaks_at = {35, 77}
    export = keyed(memory, database)
    status = await ended(memory, export)
    assert ages(tmp_path / "users.csv") == list(range(100))
    assert (status.processed, status.total, status.attempts) == (100, 100, 3)
    first, *later = database.asked
    assert first is None
    assert [35 - later[0] <= 20, 77 - later[1] <= 20] == [True, True], "a checkpoint each second or so"
    assert left_in(tmp_path) == ["users.csv"]


async def test_a_key_of_several_fields_comes_back_as_a_list(memory: Engine, tmp_path: Path) -> None:
    database, cursors = Database(100), []
    database.breaks_at = {55}

    @memory.exporter("users", columns=["age"], key=("email", "age"), retry=Retry.fixed(2, delay=0))
    async def export_users(ctx: JobContext) -> AsyncIterator[User]:
        cursors.append(ctx.cursor)
        async for row in database.stream(ctx, ctx.cursor and ctx.cursor[1]):
            yield row

    await ended(memory, export_users)
    assert ages(tmp_path / "users.csv") == list(range(100))
    assert cursors[0] is None
    assert cursors[1][0] == "a"


async def test_a_pause_keeps_what_is_there(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    export = keyed(memory, database)
    paused, status = await paused_after(4, memory, export)
    assert paused.status is Status.PAUSED
    assert 0 < paused.processed < 100
    assert not (tmp_path / "users.csv").exists() or status.status is Status.COMPLETED
    assert ages(tmp_path / "users.csv") == list(range(100))
    assert (len(database.asked), database.asked[0], status.attempts) == (2, None, 1)
    assert database.asked[1] is not None


async def test_parts_go_on_each_for_itself(memory: Engine, tmp_path: Path) -> None:
    calls: list[tuple[str, Any]] = []
    breaks = {("a", 25), ("c", 3), ("b", 48)}

    async def letters() -> list[str]:
        return ["a", "b", "c"]

    @memory.exporter(
        "users", columns=["email", "age"], key="age", parts=letters, parallel=2, retry=Retry.fixed(9, delay=0)
    )
    async def by_letter(ctx: JobContext) -> AsyncIterator[User]:
        calls.append((ctx.part, ctx.cursor))
        for n in range(0 if ctx.cursor is None else ctx.cursor + 1, 50):
            if (ctx.part, n) in breaks:
                breaks.remove((ctx.part, n))
                raise ConnectionError
            if n % 10 == 9:
                await ctx.engine.clock.sleep(1.5)
            yield User(ctx.part, n)

    status = await ended(memory, by_letter)
    assert rows_of("users.csv")[1:] == [[letter, str(n)] for letter in "abc" for n in range(50)]
    assert (status.processed, status.total) == (150, 150)
    assert status.attempts in (3, 4), "two parts that read side by side may break in one attempt"
    assert any(cursor is not None for _, cursor in calls)


async def test_a_handler_that_passes_its_cursor_over_is_found_out(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    database.breaks_at = {50}

    @memory.exporter("users", columns=["age"], key="age", retry=Retry.fixed(9, delay=0))
    async def careless(ctx: JobContext) -> AsyncIterator[User]:
        async for row in database.stream(ctx, None):
            yield row

    status = await ended(memory, careless)
    assert status.error is not None
    assert "only the rows behind ctx.cursor" in status.error.message
    assert left_in(tmp_path) == []


async def test_without_a_key_a_run_starts_anew(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    database.breaks_at = {50}
    export = keyed(memory, database, key=None)
    status = await ended(memory, export)
    assert status.processed == 100
    assert ages(tmp_path / "users.csv") == list(range(100))
    assert database.asked == [None, None]


async def test_without_a_key_a_pause_stops_it_and_it_starts_anew(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    export = keyed(memory, database, key=None)
    paused, status = await paused_after(4, memory, export)
    assert (paused.status, paused.processed) == (Status.PAUSED, 0)
    assert ages(tmp_path / "users.csv") == list(range(100))
    assert database.asked == [None, None]
    assert (status.status, status.attempts, status.processed) == (Status.COMPLETED, 1, 100)


async def test_without_a_key_a_pause_keeps_parts_that_have_ended(memory: Engine, tmp_path: Path) -> None:
    calls: list[str] = []

    async def names() -> list[str]:
        return ["quick", "slow"]

    @memory.exporter("parts", columns=["email", "age"], parts=names, parallel=2)
    async def export_parts(ctx: JobContext) -> AsyncIterator[User]:
        calls.append(ctx.part)
        for n in range(3 if ctx.part == "quick" else 15):
            if ctx.part == "slow":
                await ctx.engine.clock.sleep(1)
            yield User(ctx.part, n)

    paused, _ = await paused_after(5, memory, export_parts)
    assert (paused.status, paused.processed) == (Status.PAUSED, 3)
    assert ages(tmp_path / "users.csv") == [0, 1, 2, *range(15)]
    assert (sorted(calls[:2]), calls[2:]) == (["quick", "slow"], ["slow"]), "two begin side by side"


async def test_new_columns_make_it_start_anew(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    released = asyncio.Event()

    @memory.exporter("users", columns=["email", "age"], key="age", retry=Retry.fixed(2, delay=60))
    async def before(ctx: JobContext) -> AsyncIterator[User]:
        async for row in database.stream(ctx, ctx.cursor):
            yield row
            if row.age == 45:
                raise ConnectionError

    after = Engine("memory://")

    @after.exporter("users", columns=["age"], key="age")
    async def with_other_columns(ctx: JobContext) -> AsyncIterator[User]:
        released.set()
        async for row in database.stream(ctx, ctx.cursor):
            yield row

    async with running(memory, before, seconds=30) as (t, handle):
        memory.registry.types["users"] = after.registry.types["users"]
        await pass_time(t, 90)
        status = await handle.status()
    assert released.is_set()
    assert rows_of("users.csv") == [["age"], *([str(n)] for n in range(100))]
    assert (database.asked, status.processed) == ([None, None], 100)


async def test_segments_that_are_gone_make_it_start_anew(memory: Engine, tmp_path: Path) -> None:
    database = Database(100)
    database.breaks_at = {50}
    export = keyed(memory, database, retry=Retry.fixed(2, delay=60))
    async with running(memory, export, seconds=30) as (t, handle):
        await memory.storage.remove(handle.id)
        await pass_time(t, 90)
        assert (await handle.status()).processed == 100
    assert ages(tmp_path / "users.csv") == list(range(100))
    assert database.asked == [None, None]


async def test_a_cancel_leaves_no_file(memory: Engine, tmp_path: Path) -> None:
    export = keyed(memory, Database(100))
    async with running(memory, export, seconds=4) as (t, handle):
        await handle.cancel()
        await pass_time(t, 99)
        assert (await handle.status()).status is Status.CANCELLED
    assert left_in(tmp_path) == []


async def test_a_slow_export_outlives_its_timeout(memory: Engine, tmp_path: Path) -> None:
    @memory.exporter("slow", columns=["age"], timeout=5)
    async def slow(ctx: JobContext) -> AsyncIterator[User]:
        for n in range(4):
            await ctx.engine.clock.sleep(4)
            yield User("a", n)
        if ctx.attempt == 1:
            await ctx.engine.clock.sleep(6)

    status = await ended(memory, slow)
    assert (status.status, status.attempts, status.processed) == (Status.COMPLETED, 2, 4)


async def test_an_export_whose_rows_come_slower_later_outlives_its_timeout(memory: Engine) -> None:
    @memory.exporter("slower", columns=["age"], timeout=500)
    async def slower(ctx: JobContext) -> AsyncIterator[User]:
        for n in range(3_100):
            if n >= 3_000:
                await ctx.engine.clock.sleep(10)
            yield User("a", n)

    async with running(memory, slower, seconds=0) as (t, handle):
        await t.advance(1_200)
        await t.drain()
        status = await handle.status()
    assert (status.status, status.attempts, status.processed) == (Status.COMPLETED, 1, 3_100)
