"""A store on Valkey, with a clock for its instants that the test moves."""

from collections.abc import AsyncIterator

import pytest

from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage


@pytest.fixture
async def stage(valkey_url: str) -> AsyncIterator[Stage]:
    clock = ManualClock()
    backend = RedisBackend(read_address(valkey_url), clock=SystemClock(), stamps=clock)
    await backend.open()
    yield Stage(backend, clock)
    await backend.close()
