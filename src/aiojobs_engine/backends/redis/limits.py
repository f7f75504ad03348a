"""The Redis store: it holds no limits yet, and says so instead of passing over them."""

from collections.abc import Sequence

from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.ports.flow import LimitRecord


class RedisLimits(Part):
    """`FlowStore` of the Redis store."""

    async def set_limits(self, limits: Sequence[Limit]) -> None:
        """Refuse.

        Raises:
            ConfigError: one of them is not empty.
        """
        if any(not limit.is_empty for limit in limits):
            raise ConfigError("limits hold on sqlite:// and memory:// in this release, not on Redis yet")

    async def limits(self) -> list[LimitRecord]:
        """None."""
        return []
