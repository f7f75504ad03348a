"""Listeners of an engine: the user's, and the log."""

import asyncio
import logging
from typing import Any

import pytest

from aiojobs_engine import (
    Discard,
    Engine,
    JobCompleted,
    JobEvent,
    JobFailed,
    JobStarted,
    JobStatusUpdated,
    Retry,
    Snooze,
)
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.testing import ManualClock, TestEngine

QUIET = {"listeners": {"log": False}}


def made(**config: Any) -> tuple[Engine, Any]:
    engine = Engine("memory://", config=config)

    @engine.job(name="divide", retry=Retry.fixed(2, 60))
    async def divide(by: int) -> float:
        return 1 / by

    return engine, divide


async def test_listeners_hear_what_they_asked_for() -> None:
    engine, divide = made()
    heard: list[str] = []

    @engine.on(JobCompleted, JobFailed)
    async def ended(event: JobEvent) -> None:
        heard.append(type(event).__name__)

    @engine.on(JobStarted, type="other")
    async def other(event: JobEvent) -> None:
        heard.append("other")

    @engine.on(JobStatusUpdated, queue="default")
    def updated(event: JobStatusUpdated) -> None:
        heard.append(event.cause)

    async with TestEngine(engine) as t:
        await engine.dispatch(divide, by=1)
        await t.drain()

    assert sorted(heard) == ["JobCompleted", "JobCompleted", "JobCreated", "JobStarted"]


async def test_a_listener_added_to_an_open_engine_hears_too() -> None:
    engine, divide = made(**QUIET)
    heard: list[str] = []

    async with TestEngine(engine) as t:

        @engine.on(JobCompleted)
        async def ended(event: JobCompleted) -> None:
            heard.append(event.type)

        await engine.dispatch(divide, by=1)
        await t.drain()

    assert heard == ["divide"]


async def test_a_listener_may_dispatch() -> None:
    engine, divide = made()

    @engine.on(JobFailed)
    async def again(event: JobFailed) -> None:
        await engine.dispatch(divide, by=1)

    async with TestEngine(engine) as t:
        await engine.dispatch(divide, by=0)

        assert await t.advance(60) == {"completed": 1, "failed": 1}


async def test_a_listener_that_hangs_delays_no_job_and_closing_only_a_while() -> None:
    engine, divide = made()

    @engine.on()
    async def hang(event: JobEvent) -> None:
        await asyncio.Event().wait()

    async with TestEngine(engine) as t:
        await engine.dispatch(divide, by=1)
        assert await t.drain() == {"completed": 1}

    assert t.clock.monotonic() >= 5


async def test_without_listeners_the_store_is_not_tapped() -> None:
    taps: list[Any] = []

    class Tapped(MemoryBackend):
        def tap(self, sink: Any, pick: Any = None, classes: Any = (JobEvent,)) -> None:
            taps.append(sink)
            super().tap(sink, pick, classes)

    engine = Engine(backend=Tapped(clock=ManualClock()), config=QUIET)
    async with engine:
        pass

    assert taps == [None]


async def test_each_end_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    engine, divide = made()
    caplog.set_level(logging.INFO, logger="aiojobs_engine.jobs")

    @engine.job(name="discard")
    async def discard() -> None:
        raise Discard("not\nwanted")

    @engine.job(name="snooze")
    async def snooze() -> None:
        raise Snooze(600)

    async with TestEngine(engine) as t:
        handles = [
            await engine.dispatch(divide, by=1),
            await engine.dispatch(divide, by=0),
            await engine.dispatch(discard),
            await engine.dispatch(snooze),
            await engine.dispatch(divide.options(delay=3600), by=1),
        ]
        await handles[-1].cancel()
        await t.advance(60)
        await t.clock.rest()

    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    good, bad, discarded, snoozed, cancelled = (f"job {handle.id} " for handle in handles)
    assert sorted(lines) == sorted(
        [
            ("INFO", f"{cancelled}(divide) is cancelled"),
            ("INFO", f"{good}(divide) is completed"),
            ("WARNING", f"{bad}(divide) is tried again in 60 s, attempt 1 failed: division by zero"),
            ("INFO", f"{discarded}(discard) is discarded: not wanted"),
            ("INFO", f"{snoozed}(snooze) runs again in 600 s"),
            ("ERROR", f"{bad}(divide) failed, attempt 2, max_attempts: division by zero"),
        ]
    )
    facts = vars(next(record for record in caplog.records if record.levelname == "ERROR"))
    assert (facts["job_id"], facts["job_type"], facts["attempt"]) == (handles[1].id, "divide", 2)


@pytest.mark.parametrize(
    "config, lines",
    [
        ({}, 1),
        ({"listeners": {"log": False}}, 0),
        ({"kinds": {"job": {"listeners": {"log": False}}}}, 0),
        ({"jobs": {"divide": {"listeners": {"log": False}}}}, 0),
        ({"jobs": {"other": {"listeners": {"log": False}}}}, 1),
        ({"listeners": {"log": False}, "kinds": {"job": {"listeners": {"log": True}}}}, 1),
        (
            {
                "kinds": {"job": {"listeners": {"log": True}}},
                "jobs": {"divide": {"listeners": {"log": False}}},
            },
            0,
        ),
    ],
)
async def test_the_log_is_switched_globally_per_kind_and_per_type(
    caplog: pytest.LogCaptureFixture, config: dict[str, Any], lines: int
) -> None:
    engine, divide = made(**config)
    caplog.set_level(logging.INFO, logger="aiojobs_engine.jobs")

    async with TestEngine(engine) as t:
        await engine.dispatch(divide, by=1)
        await t.drain()

    told = [record for record in caplog.records if record.name == "aiojobs_engine.jobs"]
    assert len(told) == lines


async def test_lines_that_logging_would_not_show_cost_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    engine, divide = made()
    caplog.set_level(logging.ERROR, logger="aiojobs_engine.jobs")

    async with TestEngine(engine) as t:
        await engine.dispatch_many(divide.job(by=1) for _ in range(2_000))
        await t.drain()

        assert [load.dropped for load in engine._life.door().bus.loads.values() if load.dropped] == []
    assert caplog.records == []
