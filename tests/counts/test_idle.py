"""What a worker asks of its store while there is nothing to do."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.config import Settings
from aiojobs_engine.testing.clock import ManualClock
from tests.runtime.world import World

MINUTES = 10


class CountedStore:
    """A memory store that counts the calls of its verbs, of those in batches only such as hold something.

    Waiting is none of them: it asks nothing.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.calls = Counter[str]()
        self._store = MemoryBackend(clock=clock)

    def __getattr__(self, name: str) -> Any:
        found: Callable[..., Any] = getattr(self._store, name)
        if not callable(found) or name == "wait":
            return found

        def counted(*args: Any, **options: Any) -> Any:
            self.calls[name] += args[:1] != ([],)
            return found(*args, **options)

        return counted


@pytest.fixture
async def idle() -> AsyncIterator[World]:
    clock = ManualClock()
    world = World(store=CountedStore(clock), clock=clock, settings=Settings())

    @world.registry.job()
    async def never() -> None: ...

    async with world.running(crons=()):
        await clock.advance(60)
        yield world


async def test_an_idle_worker_asks_its_store_less_than_twice_a_second(idle: World) -> None:
    idle.store.calls.clear()

    await idle.clock.advance(60 * MINUTES)

    calls = idle.store.calls
    assert calls.total() < 2 * 60 * MINUTES, calls
    assert {"claim", "promote", "rescue", "prune", "crons_version"} <= set(calls)
