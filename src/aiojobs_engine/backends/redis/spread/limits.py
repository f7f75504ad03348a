"""The store in several homes: limits, which each home keeps for the jobs that lie there."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.redis.spread.routes import Routes
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.gates import Group, Limit, Origin
from aiojobs_engine.ports.flow import LimitRecord


class SpreadLimits(Routes):
    """`FlowStore` in several homes; what each verb means stands in the port."""

    async def set_limits(self, limits: Sequence[Limit]) -> None:
        """Store limits in all homes; an empty one removes that of its group and origin.

        Raises:
            ConfigError: one caps a partitioned queue as a whole.
        """
        for limit in limits:
            caps = (limit.concurrency, limit.rate, limit.max_pending)
            is_capped = not limit.by_key and any(cap is not None for cap in caps)
            if is_capped and self._placement.is_partitioned(limit.queue):
                raise ConfigError(
                    f"the queue {limit.queue!r} is partitioned, so no home sees all its jobs and a cap on "
                    "all can't be kept: limit it by key, or give it one partition"
                )
        if limits:
            await self._all(lambda store: store.set_limits(limits))
            self._note_changes()

    async def limits(self) -> list[LimitRecord]:
        """All limits as they stand; `running` adds up what all homes have, `room` is the least of any."""
        merged: dict[tuple[Group, Origin], LimitRecord] = {}
        for part in await self._all(lambda store: store.limits()):
            for record in part:
                key = (record.limit.group, record.limit.origin)
                merged[key] = record if key not in merged else _added(merged[key], record)
        return [merged[key] for key in sorted(merged)]


def _added(one: LimitRecord, other: LimitRecord) -> LimitRecord:
    rooms = [record.room for record in (one, other) if record.room is not None]
    return msgspec.structs.replace(one, running=one.running + other.running, room=min(rooms, default=None))
