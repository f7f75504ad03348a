"""The store in Redis or Valkey, for any number of machines: one server, Sentinel or Cluster."""

from collections.abc import Mapping

from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.backend import RedisBackend
from aiojobs_engine.backends.redis.spread.backend import SpreadBackend
from aiojobs_engine.backends.redis.spread.placement import Placement
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock

__all__ = ["RedisBackend", "SpreadBackend", "open_redis"]


def open_redis(url: str, *, clock: Clock, partitions: Mapping[str, int] | None = None) -> Store:
    """The store that a URL of Redis names, not open yet.

    Args:
        partitions: over how many homes the jobs of a queue are spread; 1 where nothing is said.

    Raises:
        ConfigError: the URL is malformed, or a queue has more partitions than the store has homes; the error
            shows no password.
    """
    address = read_address(url)
    if address.homes > 1:
        return SpreadBackend(address, clock=clock, partitions=partitions)
    Placement(address.homes, partitions or {})
    return RedisBackend(address, clock=clock)
