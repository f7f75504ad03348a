"""Health: whether jobs get done, and what is in the way."""

from typing import Any

from aiojobs_engine import BackendUnavailable, Engine
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.control import WorkerRecord
from aiojobs_engine.testing import ManualClock


class Away(MemoryBackend):
    """A store that can be cut off."""

    is_away = False

    async def queues(self) -> Any:
        if self.is_away:
            raise BackendUnavailable("connection refused")
        return await super().queues()


def made() -> tuple[Engine, Away, ManualClock]:
    clock = ManualClock()
    store = Away(clock=clock)
    engine = Engine(backend=store, clock=clock)

    @engine.job(name="add")
    async def add(a: int) -> int:
        return a

    return engine, store, clock


def worker(clock: ManualClock, name: str, *, silent: float = 0.0) -> WorkerRecord:
    beat_at = Instant(clock.now() - int(silent * 1000))
    return WorkerRecord(
        id=name,
        host="h",
        pid=1,
        queues=("default",),
        slots=10,
        running=2,
        started_at=beat_at,
        beat_at=beat_at,
    )


async def test_an_empty_store_is_well() -> None:
    engine, _, _ = made()

    async with engine:
        health = await engine.health()

    assert (health.ok, health.backend, health.problems, health.workers) == (True, True, [], 0)


async def test_jobs_that_nobody_works_on_are_a_problem() -> None:
    engine, store, clock = made()

    async with engine:
        await engine.dispatch("add", a=1)
        alone = await engine.health()
        await store.beat(worker(clock, "w1"))
        served = await engine.health()

    assert alone.problems == ["no worker serves queue 'default', with 1 job pending"]
    assert served.ok
    assert (served.workers, served.slots, served.running, served.pending) == (1, 10, 2, 1)


async def test_jobs_that_wait_too_long_are_a_problem() -> None:
    engine, store, clock = made()

    async with engine:
        await engine.dispatch("add", a=1)
        await clock.advance(301)
        await store.beat(worker(clock, "w1"))
        health = await engine.health()

    assert health.problems == ["the oldest job of queue 'default' has waited 301 s"]
    assert health.oldest_pending_seconds == 301.0


async def test_a_silent_worker_is_a_problem_and_does_not_count() -> None:
    engine, store, clock = made()

    async with engine:
        await store.beat(worker(clock, "w1"))
        await store.beat(worker(clock, "w2", silent=31))
        health = await engine.health()

    assert health.problems == ["worker w2 is silent"]
    assert health.workers == 1


async def test_a_paused_queue_is_shown_and_no_problem() -> None:
    engine, _, clock = made()

    async with engine:
        await engine.queues.pause("default")
        await engine.dispatch("add", a=1)
        await clock.advance(1000)
        health = await engine.health()

    assert (health.ok, health.paused, health.oldest_pending_seconds) == (True, ["default"], None)


async def test_a_store_that_cannot_be_reached_is_an_answer() -> None:
    engine, store, _ = made()

    async with engine:
        store.is_away = True
        health = await engine.health()

    assert (health.ok, health.backend) == (False, False)
    assert health.problems == ["the store doesn't answer: connection refused"]
