"""Processes on one file wake each other; here two stores of one process stand for two processes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, wake
from aiojobs_engine.backends.sqlite.wake import Listeners, wake_directory
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import WATCH, Stage
from tests.backends.sqlite.conftest import Opened
from tests.backends.sqlite.gate import start

GUARD = 20.0


@pytest.fixture
async def other(opened: Opened) -> AsyncIterator[SqliteBackend]:
    async with opened() as other:
        yield other


async def _asleep(
    store: SqliteBackend, clock: ManualClock, wait: Coroutine[Any, Any, None]
) -> "asyncio.Task[None]":
    """A call that has looked once, found nothing, and waits."""
    task = start(wait)
    await clock.rest()
    await store.leave("nobody")
    await clock.rest()
    assert not task.done()
    return task


async def _ends(task: "asyncio.Task[None]") -> bool:
    """Whether it ends while the clock stands still."""
    await asyncio.wait([task], timeout=GUARD)
    return task.done()


async def _waiting(store: SqliteBackend, clock: ManualClock) -> "asyncio.Task[None]":
    return await _asleep(store, clock, store.wait(WATCH, 3600))


async def test_a_job_wakes_who_waits_in_another_process(
    store: SqliteBackend, other: SqliteBackend, stage: Stage, clock: ManualClock
) -> None:
    task = await _waiting(other, clock)

    await stage.put("a")

    assert await _ends(task)


@pytest.mark.parametrize("act", ["release", "retry", "resume", "resume_queue", "promote"])
async def test_whatever_makes_a_job_claimable_wakes_others(
    store: SqliteBackend, other: SqliteBackend, stage: Stage, clock: ManualClock, act: str
) -> None:
    claim = await stage.start("a")
    if act == "retry":
        await stage.settle(claim, Status.FAILED)
    elif act == "promote":
        await stage.settle(claim, Status.RETRYING, due_at=clock.now())
    elif act == "resume":
        await stage.settle(claim, Status.PAUSED)
    elif act == "resume_queue":
        await store.pause_queue("default")
        await stage.settle(claim, Status.PENDING)
    task = await _waiting(other, clock)

    match act:
        case "release":
            await stage.settle(claim, Status.PENDING)
        case "retry":
            await store.retry(["a"])
        case "resume":
            await store.resume(["a"])
        case "resume_queue":
            await store.resume_queue("default")
        case _:
            await store.promote(10)

    assert await _ends(task)


async def test_an_event_wakes_who_follows_in_another_process(
    store: SqliteBackend, other: SqliteBackend, stage: Stage, clock: ManualClock
) -> None:
    task = await _asleep(other, clock, other.wait_events(await other.tail(), 3600))

    await stage.put("a")

    assert await _ends(task)


async def test_without_sockets_it_looks_every_second(
    other: SqliteBackend, stage: Stage, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listeners, "listen", lambda *_: None)
    task = await _waiting(other, clock)
    await stage.put("a")

    assert await stage.ends_within(task, 1.1)


async def test_an_idle_waiter_looks_once_a_second(store: SqliteBackend, clock: ManualClock) -> None:
    task = await _waiting(store, clock)
    before = store.work.reads

    for _ in range(10):
        await clock.advance(1.0)
        await store.leave("nobody")
    task.cancel()
    await asyncio.wait([task])

    assert store.work.reads - before == 10


async def test_a_socket_that_a_dead_process_left_is_cleared_away(
    path: Path, store: SqliteBackend, stage: Stage
) -> None:
    directory = wake_directory(path)
    directory.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(directory / "1-1-1.jobs"))

    await stage.put("a")

    assert list(directory.iterdir()) == []


async def test_sockets_go_with_their_store(opened: Opened, clock: ManualClock, path: Path) -> None:
    async with opened() as store:
        task = await _waiting(store, clock)
        assert len(list(wake_directory(path).iterdir())) == 1
    await task

    assert not wake_directory(path).exists()


async def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path, clock: ManualClock) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    stores = [SqliteBackend(deep / "jobs.db", clock=clock, durability="normal") for _ in range(2)]
    for store in stores:
        await store.open()

    task = await _waiting(stores[0], clock)
    await Stage(stores[1], clock).put("a")
    assert await _ends(task)

    for store in stores:
        await store.close()


async def test_where_a_path_is_too_long_and_cannot_be_shortened_it_looks(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "_DESCRIPTORS", tmp_path / "nowhere")
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    store = SqliteBackend(deep / "jobs.db", clock=clock, durability="normal")
    await store.open()
    stage = Stage(store, clock)

    task = await _waiting(store, clock)
    await stage.put("a")
    assert await _ends(task)

    await store.close()
