"""Durable listeners: at least once, in order, one process at a time, whatever dies."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import (
    ConfigError,
    Engine,
    JobCompleted,
    JobCreated,
    JobEvent,
    JobStatusUpdated,
    LeaseLost,
)
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.events import JobStarted
from aiojobs_engine.events.bus import Subscription
from aiojobs_engine.events.durable import LEASE, TRIES, Follower
from aiojobs_engine.testing import ManualClock, TestEngine
from aiojobs_engine.testing.conformance.stage import Stage

LONG = 10 * LEASE


def follower(stage: Stage, call: Callable[[Any], object], *, holder: str = "one", **wanted: Any) -> Follower:
    subscription = Subscription(call=call, classes=wanted.pop("classes", (JobEvent,)), **wanted)
    return Follower("mail", subscription, stage.backend, stage.clock, holder=holder)


async def opened() -> Stage:
    clock = ManualClock()
    store = MemoryBackend(clock=clock)
    await store.open()
    return Stage(store, clock)


async def begun(following: Follower) -> asyncio.Task[None]:
    await following.prepare()
    return asyncio.get_running_loop().create_task(following.run())


async def ended(task: asyncio.Task[None], following: Follower) -> None:
    task.cancel()
    await asyncio.wait([task])
    await following.finish(catches_up=False)


async def test_it_is_told_what_every_process_emits_in_order_from_its_first_worker_on() -> None:
    stage = await opened()
    told: list[tuple[str, str]] = []
    await stage.put("before")
    await stage.take()

    async def hear(event: JobEvent) -> None:
        told.append((type(event).__name__, event.job_id))

    following = follower(stage, hear, classes=(JobCreated, JobStarted), type="work")
    task = await begun(following)
    await stage.put("a", "b")
    await stage.put("c", type="bulk")
    await stage.take()
    await stage.clock.rest()

    assert told == [("JobCreated", "a"), ("JobCreated", "b"), ("JobStarted", "a"), ("JobStarted", "b")]
    await ended(task, following)


async def test_the_next_one_goes_on_where_the_last_one_stopped() -> None:
    stage = await opened()
    told: list[tuple[str, str]] = []

    async def run(holder: str, *job_ids: str) -> None:
        async def hear(event: JobEvent) -> None:
            told.append((holder, event.job_id))

        following = follower(stage, hear, holder=holder)
        task = await begun(following)
        await stage.put(*job_ids)
        await stage.clock.rest()
        await ended(task, following)

    await run("one", "a", "b")
    await stage.put("c")
    await run("two", "d")

    assert told == [("one", "a"), ("one", "b"), ("two", "c"), ("two", "d")]


async def test_of_several_processes_one_is_told_and_another_takes_over_when_it_dies() -> None:
    stage = await opened()
    told: list[tuple[str, str]] = []
    tasks = {}
    for holder in ("one", "two", "three"):

        async def hear(event: JobEvent, holder: str = holder) -> None:
            told.append((holder, event.job_id))

        tasks[holder] = await begun(follower(stage, hear, holder=holder))
    await stage.put("a")
    await stage.clock.advance(LONG)
    tasks["one"].cancel()  # dead: it lets go of nothing
    await asyncio.wait([tasks["one"]])
    await stage.put("b")
    await stage.clock.advance(LEASE / 2)
    assert told == [("one", "a")]

    await stage.clock.advance(LONG)

    assert told in ([("one", "a"), ("two", "b")], [("one", "a"), ("three", "b")])
    for task in tasks.values():
        task.cancel()


async def test_a_call_that_outlasts_the_lease_keeps_its_place() -> None:
    stage = await opened()
    told: list[str] = []

    async def slow(event: JobEvent) -> None:
        await stage.clock.sleep(LONG)
        told.append(event.job_id)

    first = await begun(follower(stage, slow, holder="one"))
    second = await begun(follower(stage, slow, holder="two"))
    await stage.put("a")
    await stage.clock.advance(2 * LONG)

    assert told == ["a"]
    first.cancel()
    second.cancel()


async def test_a_process_that_lost_its_place_stops_telling() -> None:
    stage = await opened()
    told: list[str] = []

    async def slow(event: JobEvent) -> None:
        await stage.clock.sleep(LEASE)
        told.append(event.job_id)

    task = await begun(follower(stage, slow, holder="one"))
    await stage.put("a", "b")
    await stage.clock.advance(1)
    stage.clock.reboot("another")
    await stage.backend.hold_place("mail", "two", 1000)
    await stage.clock.advance(LONG)

    assert told == []
    task.cancel()


async def test_a_call_that_raises_is_repeated_and_then_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    stage = await opened()
    told: list[str] = []

    async def shaky(event: JobEvent) -> None:
        told.append(event.job_id)
        if event.job_id == "a" or told.count("b") < 3:
            raise OSError("away")

    following = follower(stage, shaky)
    task = await begun(following)
    await stage.put("a", "b", "c")
    with caplog.at_level(logging.ERROR):
        await stage.clock.advance(1000)

    assert told == ["a"] * TRIES + ["b"] * 3 + ["c"]
    assert following.load.failed == {"OSError": TRIES + 2}
    (given_up,) = [record.message for record in caplog.records if record.message.endswith(" up")]
    assert "gave JobCreated of job a up" in given_up
    await ended(task, following)


async def test_an_event_is_told_again_when_its_process_died_before_it_said_so() -> None:
    stage = await opened()
    told: list[str] = []
    dying = asyncio.Event()

    async def hear(event: JobEvent) -> None:
        told.append(event.job_id)
        dying.set()
        await stage.clock.sleep(LONG)

    task = await begun(follower(stage, hear, holder="one"))
    await stage.put("a")
    await dying.wait()
    task.cancel()
    await stage.clock.advance(10)
    again = await begun(follower(stage, hear, holder="two"))
    await stage.clock.advance(2 * LEASE)

    assert task.cancelled()
    assert told == ["a", "a"]
    again.cancel()


async def test_a_call_under_way_is_let_finish_when_its_process_stops() -> None:
    stage = await opened()
    told: list[str] = []

    async def hear(event: JobEvent) -> None:
        await stage.clock.sleep(1)
        told.append(event.job_id)

    following = follower(stage, hear)
    task = await begun(following)
    await stage.put("a", "b")
    await stage.clock.rest()
    task.cancel()
    await stage.clock.advance(2)
    await following.finish(catches_up=False)
    assert told == ["a"]

    again = await begun(follower(stage, hear, holder="two"))
    await stage.clock.advance(2)
    assert told == ["a", "b"]
    again.cancel()


async def test_plain_functions_and_derived_events_work_too() -> None:
    engine = Engine("memory://")
    told: list[tuple[str, str, str]] = []

    @engine.job(name="work")
    async def work() -> None: ...

    @engine.on(JobStatusUpdated, durable="front")
    def hear(event: JobStatusUpdated) -> None:
        told.append((type(event).__name__, event.cause, event.job_id))

    async with TestEngine(engine) as t:
        await engine.dispatch(work)
        await t.drain()  # the worker makes the place; what was before is not told
        handle = await engine.dispatch(work)
        await t.drain()

    assert told[-3:] == [
        ("JobStatusUpdated", cause, handle.id) for cause in ("JobCreated", "JobStarted", "JobCompleted")
    ]


async def test_a_burst_tells_everything_before_it_ends() -> None:
    engine = Engine("memory://")
    told: list[str] = []

    @engine.job(name="work")
    async def work() -> None: ...

    @engine.on(JobCompleted, durable="mail")
    async def hear(event: JobCompleted) -> None:
        told.append(event.job_id)

    async with TestEngine(engine) as t:
        handles = [await engine.dispatch(work) for _ in range(5)]
        await t.drain()
        assert sorted(told) == sorted(handle.id for handle in handles)


async def test_a_worker_tells_on_the_sqlite_store(tmp_path: Path) -> None:
    told = asyncio.Queue[str]()
    engine = Engine(f"sqlite:///{tmp_path / 'jobs.db'}")

    @engine.job(name="work")
    async def work() -> None: ...

    @engine.on(JobCompleted, LeaseLost, durable="mail")
    async def hear(event: JobEvent) -> None:
        await told.put(event.job_id)

    async with engine.running():
        handle = await engine.dispatch(work)
        assert await asyncio.wait_for(told.get(), 30) == handle.id


def test_a_name_is_taken_once_and_must_be_one() -> None:
    engine = Engine("memory://")
    engine.on(durable="mail")(print)

    with pytest.raises(ConfigError, match="durable listener 'mail' already"):
        engine.on(durable="mail")(print)
    with pytest.raises(ConfigError, match="durable must be 1 to 128"):
        engine.on(durable="a b")
