from collections.abc import AsyncIterator

import pytest

from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance import BackendContract


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def backend(clock: ManualClock, redis_url: str) -> AsyncIterator[RedisBackend]:
    backend = RedisBackend(read_address(redis_url), clock=SystemClock(), stamps=clock)
    await backend.open()
    yield backend
    await backend.close()


class TestRedis(BackendContract): ...
