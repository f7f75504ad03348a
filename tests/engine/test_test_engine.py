"""TestEngine: what users' tests stand on."""

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from aiojobs_engine import (
    ConfigError,
    Discard,
    Engine,
    JobContext,
    PayloadError,
    Retry,
    Snooze,
)
from aiojobs_engine.testing import TestEngine


def made() -> tuple[Engine, Any, list[int]]:
    engine = Engine("sqlite:///never-opened.db")
    ran: list[int] = []

    @engine.job(name="add", retry=Retry.fixed(3, 60))
    async def add(a: int, b: int = 1) -> int:
        ran.append(a)
        if a < 0:
            raise ValueError("negative")
        return a + b

    return engine, add, ran


async def test_drain_runs_what_is_due_and_what_that_dispatches(aiojobs: type[TestEngine]) -> None:
    engine, add, ran = made()

    @engine.job(name="parent")
    async def parent(ctx: JobContext) -> None:
        await ctx.engine.dispatch(add, a=10)
        await ctx.engine.dispatch(add.options(delay=60), a=20)

    async with aiojobs(engine) as t:
        await t.engine.dispatch(parent)

        assert await t.drain() == {"scheduled": 1, "completed": 2}
    assert ran == [10]


async def test_advance_runs_what_falls_due_at_its_moment() -> None:
    engine, add, _ = made()
    times: list[float] = []

    @engine.job(name="note")
    async def note(ctx: JobContext) -> None:
        times.append(t.clock.monotonic())
        if len(times) == 1:
            await ctx.engine.dispatch(note.options(delay=10))

    async with TestEngine(engine) as t:
        await engine.dispatch(note.options(delay=30))
        await engine.dispatch(add.options(delay=7_200), a=1)

        assert await t.advance(3600) == {"scheduled": 1, "completed": 2}
        assert times == [30.0, 40.0]
        assert t.clock.monotonic() == 3600.0
        assert await t.advance(3_600) == {"completed": 3}


async def test_retries_take_their_virtual_time() -> None:
    engine, add, ran = made()

    async with TestEngine(engine) as t:
        await engine.dispatch(add, a=-1)
        assert await t.drain() == {"retrying": 1}
        assert await t.advance(59.9) == {"retrying": 1}
        assert await t.advance(0.1) == {"retrying": 1}
        assert ran == [-1, -1]
        assert await t.advance(60) == {"failed": 1}


async def test_a_snooze_takes_its_virtual_time() -> None:
    engine, _, _ = made()
    seen: list[int] = []

    @engine.job(name="later")
    async def later() -> None:
        seen.append(1)
        if len(seen) < 3:
            raise Snooze(600)

    async with TestEngine(engine) as t:
        await engine.dispatch(later)

        assert await t.advance(1199) == {"scheduled": 1}
        assert await t.advance(1) == {"completed": 1}


async def test_drain_waits_for_threads() -> None:
    engine, _, _ = made()

    @engine.job(name="slow")
    def slow() -> int:
        threading.Event().wait(0.1)
        return 5

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(slow)

        assert await t.drain() == {"completed": 1}
        assert await handle.result() == 5


async def test_a_handler_that_hangs_is_shown_and_goes_on() -> None:
    engine, _, _ = made()
    release = asyncio.Event()

    @engine.job(name="hold")
    async def hold() -> str:
        await release.wait()
        return "released"

    async with TestEngine(engine, patience=0.02) as t:
        handle = await engine.dispatch(hold)
        assert await t.drain() == {"processing": 1}
        release.set()

        assert await t.drain() == {"completed": 1}
        assert await handle.result() == "released"


async def test_a_timeout_passes_in_virtual_time() -> None:
    engine, _, _ = made()

    @engine.job(name="hang", timeout=300, retry=Retry.none())
    async def hang() -> None:
        await asyncio.Event().wait()

    async with TestEngine(engine, patience=0.02) as t:
        await engine.dispatch(hang)

        assert await t.advance(299) == {"processing": 1}
        assert await t.advance(5) == {"failed": 1}


async def test_leaving_ends_what_hangs() -> None:
    engine, _, _ = made()
    ended: list[str] = []

    @engine.job(name="hang")
    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("hang")

    async with TestEngine(engine, patience=0.02) as t:
        await engine.dispatch(hang)
        await t.drain()

    assert ended == ["hang"]
    assert not engine.is_open


async def test_the_engine_is_as_before_afterwards() -> None:
    engine = Engine("memory://")

    @engine.job(name="add")
    async def add(a: int) -> int:
        return a

    async with engine:
        kept = await engine.dispatch(add, a=1)
        clock = engine.clock
        async with TestEngine(engine) as t:
            assert engine.clock is t.clock
            await engine.dispatch(add, a=2)
            assert len((await engine.jobs.list()).items) == 1

        assert engine.clock is clock
        assert [job.id async for job in engine.jobs.list()] == [kept.id]


async def test_two_tests_share_nothing() -> None:
    engine, add, _ = made()

    for _ in range(2):
        async with TestEngine(engine) as t:
            t.assert_not_dispatched(add)
            await engine.dispatch(add, a=1)
            assert len(t.dispatched()) == 1


async def test_dispatches_are_found_by_some_of_their_arguments() -> None:
    engine, add, _ = made()

    async with TestEngine(engine) as t:
        await engine.dispatch(add, a=1)
        await engine.dispatch(add.options(priority=5), 2, b=3)
        await engine.dispatch("elsewhere", queue="far", text="hello")

        (found,) = t.assert_dispatched(add, a=2)
        assert (found.arguments, found.envelope.priority) == ({"a": 2, "b": 3}, 5)
        assert [job.arguments["a"] for job in t.assert_dispatched(add)] == [1, 2]
        assert t.assert_dispatched("add", b=1)[0].arguments == {"a": 1, "b": 1}
        assert t.assert_dispatched("elsewhere", text="hello")[0].envelope.queue == "far"
        t.assert_not_dispatched(add, a=3)
        assert [job.type for job in t.dispatched()] == ["add", "add", "elsewhere"]
        assert t.dispatched("nothing") == []


async def test_a_miss_shows_the_nearest() -> None:
    engine, add, _ = made()

    async with TestEngine(engine) as t:
        await engine.dispatch(add, a=1, b=9)
        await engine.dispatch(add, a=7)

        with pytest.raises(AssertionError) as missed:
            t.assert_dispatched(add, a=7, b=2)
        with pytest.raises(AssertionError, match=r"nor any other of this type; dispatched were: add \(2\)"):
            t.assert_dispatched("ad")
        with pytest.raises(AssertionError, match=r"1 such jobs were dispatched:\n  add\(a=7, b=1\)"):
            t.assert_not_dispatched(add, a=7)

    assert str(missed.value).splitlines() == [
        "no add(a=7, b=2) was dispatched; there were:",
        "  add(a=7, b=1), differing in b",
        "  add(a=1, b=9), differing in a, b",
    ]


async def test_nothing_dispatched_is_said() -> None:
    engine, add, _ = made()

    async with TestEngine(engine) as t:
        with pytest.raises(AssertionError, match="no jobs at all"):
            t.assert_dispatched(add)


async def test_the_same_job_twice_was_dispatched_once() -> None:
    engine, add, _ = made()
    job = add.job(a=1)

    async with TestEngine(engine) as t:
        await engine.dispatch_many([job, job])

        assert len(t.dispatched(add)) == 1


async def test_run_gives_what_the_handler_returns_and_leaves_no_trace() -> None:
    engine, add, ran = made()

    async with TestEngine(engine) as t:
        assert await t.run(add, 2, b=5) == 7
        assert await t.drain() == {}
        t.assert_not_dispatched(add)
    assert ran == [2]


async def test_run_raises_what_the_handler_raises() -> None:
    engine, add, ran = made()

    @engine.job(name="discard")
    async def discard() -> None:
        raise Discard("enough")

    async with TestEngine(engine) as t:
        with pytest.raises(ValueError, match="negative"):
            await t.run(add, a=-1)
        with pytest.raises(Discard):
            await t.run(discard)
    assert ran == [-1]


async def test_run_carries_arguments_and_results_as_a_store_would() -> None:
    engine, add, _ = made()

    @engine.job(name="bad")
    async def bad() -> Any:
        return object()

    async with TestEngine(engine) as t:
        with pytest.raises(PayloadError) as caught:
            await t.run(add, a="x")
        with pytest.raises(PayloadError, match="result"):
            await t.run(bad)
    assert caught.value.argument == "a"


async def test_run_has_context_resources_and_middleware() -> None:
    engine, add, _ = made()

    @engine.resources
    async def pool() -> Any:
        yield "pool"

    @engine.middleware
    async def shout(ctx: JobContext, call_next: Any) -> Any:
        return (await call_next()).upper()

    @engine.job(name="tell")
    async def tell(ctx: JobContext, name: str) -> str:
        await ctx.progress(1, 1)
        await ctx.engine.dispatch(add, a=1)
        return f"{ctx.resources} {ctx.attempt} {name}"

    async with TestEngine(engine) as t:
        assert await t.run(tell, name="x") == "POOL 1 X"
        t.assert_dispatched(add, a=1)


async def test_time_goes_only_on() -> None:
    engine, _, _ = made()

    async with TestEngine(engine) as t:
        with pytest.raises(ConfigError, match="at least 0"):
            await t.advance(-1)


async def test_an_engine_without_types_has_nothing_to_drain() -> None:
    engine = Engine("memory://")

    async with TestEngine(engine) as t:
        await engine.dispatch("elsewhere", queue="far")

        assert await t.drain() == {"pending": 1}
        assert await t.advance(60) == {"pending": 1}


async def test_resources_that_fail_fail_the_drain() -> None:
    engine, add, _ = made()

    @engine.resources
    async def pool() -> Any:
        raise OSError("no database")
        yield

    async with TestEngine(engine) as t:
        await engine.dispatch(add, a=1)

        with pytest.raises(OSError, match="no database"):
            await t.drain()


async def test_run_does_a_whole_import() -> None:
    engine = Engine("memory://")
    seen: list[str] = []

    class Row(msgspec.Struct):
        email: str

    @engine.importer("people", row=Row, chunk_size=2)
    async def people(ctx: JobContext, rows: list[Row]) -> None:
        seen.extend(row.email for row in rows)

    async with TestEngine(engine) as t:
        await t.run(people, [{"email": f"{number}@x.org"} for number in range(5)])

        assert await t.drain() == {}
    assert sorted(seen) == [f"{number}@x.org" for number in range(5)]
