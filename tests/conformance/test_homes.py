from collections.abc import AsyncIterator

import pytest

from aiojobs_engine.backends.redis import SpreadBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance import BackendContract
from tests.servers.groups import Cluster

HOMES = 4
"""So many that the queues of the suite, `default` and `other`, `q1` and `q2`, lie in different ones."""

ACROSS_HOMES = {
    "test_the_order_holds_across_queues_and_types": "claims take from one home after the other",
    "test_a_listing_holds_what_fits_the_last_accepted_first": "of the same millisecond homes have no order",
}
"""What homes don't promise each other; tests/backends/redis/test_homes.py says what holds instead."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def backend(clock: ManualClock, cluster: Cluster, prefix: str) -> AsyncIterator[SpreadBackend]:
    address = read_address(f"{cluster.url}?prefix={prefix}&homes={HOMES}")
    backend = SpreadBackend(address, clock=SystemClock(), stamps=clock)
    await backend.open()
    yield backend
    await backend.close()


class TestHomes(BackendContract): ...


for name in ACROSS_HOMES:
    setattr(TestHomes, name, None)
