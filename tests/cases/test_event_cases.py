"""E1 to E7: listeners that raise, hang or dispatch, the order of events, and logs on full disks."""

import asyncio
import contextlib
import logging
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import Engine, JobCompleted, JobCreated, JobEvent, JobFailed, JobStarted, Retry
from aiojobs_engine.core.events import TERMINAL_EVENTS
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.events.bus import QUEUE
from tests.cases.conftest import MakeEngine

Told = list[tuple[str, str]]


def with_work(engine: Engine) -> Any:
    @engine.job(name="work", retry=Retry.fixed(2, 1))
    async def work(fails: bool = False) -> None:  # noqa: FBT001, FBT002 - a job's argument
        if fails:
            raise RuntimeError("as told")

    return work


@contextlib.asynccontextmanager
async def running(engine: Engine) -> Any:
    async with engine, engine.running():
        yield engine.clock


async def until_all_final(engine: Engine, handles: list[Any]) -> list[Any]:
    while True:
        found = [await handle.status() for handle in handles]
        if all(status.status in FINAL for status in found):
            return found
        await engine.clock.advance(0.5)  # type: ignore[attr-defined]


@pytest.mark.case("E1")
async def test_a_listener_that_raises_is_counted_and_harms_nobody(
    make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine()
    work = with_work(engine)
    told: list[str] = []

    @engine.on(JobCompleted)
    async def broken(event: JobEvent) -> None:
        raise RuntimeError("listener")

    @engine.on(JobCompleted)
    async def sound(event: JobEvent) -> None:
        told.append(event.job_id)

    async with running(engine):
        handles = await engine.dispatch_many(work.job() for _ in range(50))
        statuses = await until_all_final(engine, handles)
        await engine.clock.advance(1)  # type: ignore[attr-defined]
        loads = engine._life.door().bus.loads

    assert {status.status for status in statuses} == {"completed"}
    assert sorted(told) == sorted(handle.id for handle in handles)
    assert [load.failed for load in loads.values() if load.failed] == [{"RuntimeError": 50}]
    assert len([record for record in caplog.records if "broken failed" in record.message]) == 1


@pytest.mark.case("E2")
async def test_a_listener_that_hangs_delays_no_job_and_loses_only_its_own_events(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    work = with_work(engine)
    count = 0

    @engine.on(JobCompleted)
    async def hangs(event: JobEvent) -> None:
        await asyncio.Event().wait()

    @engine.on(JobCompleted)
    async def counts(event: JobEvent) -> None:
        nonlocal count
        count += 1

    async with running(engine):
        began_at = engine.clock.monotonic()
        handles = await engine.dispatch_many(work.job() for _ in range(QUEUE + 100))
        statuses = await until_all_final(engine, handles)
        took = engine.clock.monotonic() - began_at
        loads = engine._life.door().bus.loads
        bus = engine._life.door().bus
        ending = asyncio.get_running_loop().create_task(bus.close())
        await engine.clock.advance(6)  # type: ignore[attr-defined]
        await ending

    assert {status.status for status in statuses} == {"completed"}
    assert count == QUEUE + 100
    assert [load.dropped for load in loads.values() if load.dropped] == [99]
    assert took <= 5


@pytest.mark.case("E4")
async def test_a_listener_may_dispatch_and_the_stack_does_not_grow_with_the_chain(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    work = with_work(engine)
    depths: list[int] = []

    @engine.on(JobCreated)
    async def another(event: JobEvent) -> None:
        frame, depth = sys._getframe(), 0
        while frame.f_back is not None:
            frame, depth = frame.f_back, depth + 1
        depths.append(depth)
        if len(depths) < 100:
            await engine.dispatch(work)

    async with running(engine):
        await engine.dispatch(work)
        while len(depths) < 100:
            await engine.clock.advance(0.1)  # type: ignore[attr-defined]
        jobs = await engine.jobs.list(limit=200)

    assert len(jobs.items) == 100
    assert max(depths) == min(depths)


@pytest.mark.case("E6")
async def test_the_events_of_each_job_come_in_order_and_none_after_the_last(make_engine: MakeEngine) -> None:
    engine = make_engine()
    work = with_work(engine)
    heard: defaultdict[str, list[JobEvent]] = defaultdict(list)

    @engine.on()
    async def hear(event: JobEvent) -> None:
        heard[event.job_id].append(event)

    async with running(engine):
        handles = await engine.dispatch_many(work.job(fails=number % 2 == 0) for number in range(40))
        await until_all_final(engine, handles)
        await engine.clock.advance(1)  # type: ignore[attr-defined]
        stored, _ = await engine.store.read(None, 10_000)

    in_store: defaultdict[str, list[JobEvent]] = defaultdict(list)
    for event in stored:
        in_store[event.job_id].append(event)
    for handle in handles:
        events = in_store[handle.id]
        assert heard[handle.id] == events
        assert type(events[0]) is JobCreated
        assert type(events[1]) is JobStarted
        assert type(events[-1]) in (JobCompleted, JobFailed)
        assert sum(isinstance(event, TERMINAL_EVENTS) for event in events) == 1
        attempts = [event.attempt for event in events]
        assert attempts == sorted(attempts)
    assert len({event.event_id for event in stored}) == len(stored)


class Full(logging.Handler):
    """A log on a disk that is full."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.case("E7")
@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_log_that_can_not_be_written_ends_no_worker(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_closed: bool
) -> None:
    engine = make_engine()
    work = with_work(engine)
    handler: logging.Handler = Full()
    if is_closed:
        with (tmp_path / "log.txt").open("w", encoding="utf-8") as stream:
            handler = logging.StreamHandler(stream)
        monkeypatch.setattr(sys, "stderr", None)
    logger = logging.getLogger("aiojobs_engine.jobs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        async with running(engine):
            handles = await engine.dispatch_many(work.job(fails=number == 0) for number in range(20))
            statuses = await until_all_final(engine, handles)
            health = await engine.health()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    assert [status.status for status in statuses].count("completed") == 19
    assert health.workers == 1
