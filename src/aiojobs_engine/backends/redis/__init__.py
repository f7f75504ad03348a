"""The store in Redis or Valkey, for any number of machines: one server, Sentinel or Cluster."""

from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.backend import RedisBackend
from aiojobs_engine.ports.clock import Clock

__all__ = ["RedisBackend", "open_redis"]


def open_redis(url: str, *, clock: Clock) -> RedisBackend:
    """The store that a URL of Redis names, not open yet.

    Raises:
        ConfigError: the URL is malformed; the error shows no password.
    """
    return RedisBackend(read_address(url), clock=clock)
