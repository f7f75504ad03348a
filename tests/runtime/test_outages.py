"""A store that goes away and comes back is told of once each, by whoever meets it first."""

import logging
from typing import Any

import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing import ManualClock
from tests.runtime.world import World

SAID = "aiojobs_engine"


class Away(MemoryBackend):
    """Refuses everything that a worker asks for, while it is told to."""

    is_away = False

    def _refuse(self) -> None:
        if self.is_away:
            raise BackendUnavailable("gone fishing")


def _refusing(name: str) -> Any:
    async def call(self: Away, *args: Any, **kwargs: Any) -> Any:
        self._refuse()
        return await getattr(MemoryBackend, name)(self, *args, **kwargs)

    return call


for _name in ("claim", "settle", "extend", "beat", "promote", "rescue", "prune", "record", "wait", "begin"):
    setattr(Away, _name, _refusing(_name))


@pytest.mark.parametrize("outages", [1, 2])
async def test_an_outage_is_one_warning_and_its_end_one_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture, outages: int
) -> None:
    clock = ManualClock()
    store = Away(clock=clock)
    world = World(store=store, clock=clock)
    caplog.set_level(logging.WARNING, SAID)

    @world.registry.job()
    async def quick() -> None: ...

    async with world.running() as worker:
        for _ in range(outages):
            job_id = await world.push(quick.job())
            store.is_away = True
            await clock.advance(60)
            assert not worker.is_healthy
            store.is_away = False
            await clock.advance(90)
            assert worker.is_healthy
            assert (await world.status(job_id)).status is Status.COMPLETED

    told = [record for record in caplog.records if record.name.startswith(SAID)]
    away = [record.getMessage() for record in told if "is away" in record.getMessage()]
    back = [record.getMessage() for record in told if "is back" in record.getMessage()]
    assert len(away) == len(back) == outages
    assert "gone fishing" in away[0]
    assert all("after 6" in line for line in back)
    others = [record.getMessage() for record in told if record.getMessage() not in (*away, *back)]
    assert [line for line in others if "lease" not in line] == []
    assert not any(record.exc_info for record in told)
