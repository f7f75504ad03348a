from collections.abc import AsyncIterator

import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance import BackendContract


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def backend(clock: ManualClock) -> AsyncIterator[MemoryBackend]:
    backend = MemoryBackend(clock=clock)
    await backend.open()
    yield backend
    await backend.close()


class TestMemory(BackendContract): ...
