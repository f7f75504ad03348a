"""What a worker without work asks of its store, and when."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.ports.backend import Claim, Lease
from aiojobs_engine.ports.clock import Wake
from aiojobs_engine.testing.clock import ManualClock
from tests.runtime.world import World


class ToldStore(MemoryBackend):
    """Notes at each wait what the test says by then, and whether the worker called itself idle."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.begun: list[str] = []
        self.waits: list[tuple[tuple[str, ...], bool]] = []

    async def wait(self, *args: Any, is_idle: bool = False) -> None:
        self.waits.append((tuple(self.begun), is_idle))
        await super().wait(*args, is_idle=is_idle)


async def test_a_job_begins_before_the_store_is_asked_for_the_next() -> None:
    clock = ManualClock()
    store = ToldStore(clock)
    world = World(store=store, clock=clock)
    done = Wake(clock)

    @world.registry.job()
    async def short() -> None:
        store.begun.append("short")

    @world.registry.job()
    async def long() -> None:
        store.begun.append("long")
        await done.wait()

    async with world.running():
        await world.push(short.job())
        await clock.rest()
        await world.push(long.job())
        await clock.rest()
        assert store.waits == [((), True), (("short",), True), (("short", "long"), False)]
        done.set()
        await clock.rest()

    assert store.waits[3:] == [(("short", "long"), True)]


class BrokenStore(ToldStore):
    """Fails in a wait when it is told to."""

    is_broken = False

    async def wait(self, *args: Any, is_idle: bool = False) -> None:
        if self.is_broken:
            self.is_broken = False
            raise BackendUnavailable("away")
        await super().wait(*args, is_idle=is_idle)


async def test_a_wait_that_fails_while_a_job_runs_is_told_and_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    store = BrokenStore(clock)
    world = World(store=store, clock=clock)

    @world.registry.job()
    async def long() -> None:
        store.is_broken = True
        await clock.sleep(3)

    async with world.running():
        await world.push(long.job())
        await clock.advance(10)

    assert "away" in caplog.text
    assert store.waits[-1] == ((), True)


class HandingStore(MemoryBackend):
    """Says of each claim that it was leased in a wait, three seconds ago."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.begun: list[str] = []

    async def claim(self, *args: Any) -> list[Claim]:
        claims = await super().claim(*args)
        return [msgspec.structs.replace(claim, has_started=False, age=3.0) for claim in claims]

    async def begin(self, leases: Sequence[Lease]) -> None:
        self.begun += [lease.job_id for lease in leases]
        await super().begin(leases)


async def test_of_what_was_leased_in_a_wait_the_store_is_told_that_it_began() -> None:
    clock = ManualClock()
    store = HandingStore(clock)
    world = World(store=store, clock=clock)

    @world.registry.job()
    async def long() -> None:
        await clock.sleep(1)

    async with world.running() as worker:
        job_id = await world.push(long.job())
        await clock.advance(0.5)
        (run,) = worker._slots.runs.values()
        age = clock.monotonic() - run.leased_at

    assert store.begun == [job_id]
    assert age >= 3
