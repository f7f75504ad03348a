"""A worker that ends by itself, on a store that takes its time."""

from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.clock import ManualClock
from tests.runtime.world import World


class SlowStore(MemoryBackend):
    """Answers `counts` late, so that what it counted is long past."""

    def __init__(self, clock: ManualClock, turns: int) -> None:
        super().__init__(clock=clock)
        self._turns = turns

    async def counts(self, *args: Any, **options: Any) -> Any:
        counted = await super().counts(*args, **options)
        for _ in range(self._turns):
            await checkpoint()
        return counted

    async def settle(self, *args: Any, **options: Any) -> Any:
        for _ in range(self._turns):
            await checkpoint()
        return await super().settle(*args, **options)


@pytest.mark.parametrize("turns", range(40))
async def test_a_burst_sees_what_its_own_watcher_took_while_it_looked(turns: int) -> None:
    clock = ManualClock()
    world = World(store=SlowStore(clock, turns), clock=clock)
    runs = 0

    @world.registry.job(retry=Retry.fixed(20, delay=0))
    async def fails_at_first() -> None:
        nonlocal runs
        runs += 1
        for _ in range(runs * turns // 10):
            await checkpoint()
        if runs <= 10:
            raise LookupError("not yet")

    job_id = await world.push_before_open(fails_at_first.job())
    async with world.running(burst=True):
        await clock.advance(60)
        status = await world.status(job_id)
    assert status.status is Status.COMPLETED
