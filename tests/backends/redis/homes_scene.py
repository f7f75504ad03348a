"""Stores in several homes, and where their jobs lie."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from aiojobs_engine.backends.redis import SpreadBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.keys import home_key
from aiojobs_engine.backends.redis.spread.placement import home_tags
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage

QUEUES = ("default", "other", "q1", "b")
"""Queues that lie in the homes 2, 3, 0 and 1 of four."""


@asynccontextmanager
async def homes(
    url: str,
    *,
    number: int = 4,
    partitions: Mapping[str, int] | None = None,
    clock: ManualClock | None = None,
) -> AsyncGenerator[Stage]:
    """A store in `number` homes, with hands."""
    clock = clock or ManualClock()
    address = read_address(f"{url}&homes={number}")
    backend = SpreadBackend(address, clock=SystemClock(), partitions=partitions, stamps=clock)
    await backend.open()
    try:
        yield Stage(backend, clock)
    finally:
        await backend.close()


async def spread(stage: Stage, name: str = "jobs", number: int = 4) -> list[int]:
    """How many jobs, or members of the sorted set `name`, each home has."""
    store = stage.backend
    assert isinstance(store, SpreadBackend)
    keys = [home_key(tag_prefix(store), tag) for tag in home_tags(tag_prefix(store), number)]
    return [int(await store.client.command("ZCARD", key.removesuffix("meta") + name)) for key in keys]


def tag_prefix(store: SpreadBackend) -> str:
    return store.client.address.prefix
