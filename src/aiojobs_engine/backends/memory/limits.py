"""The memory store: limits."""

from collections.abc import Sequence

from aiojobs_engine.backends.memory.ledger import Part
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.ports.flow import LimitRecord


class MemoryLimits(Part):
    """`FlowStore` of the memory store; what each verb means stands in the port."""

    async def set_limits(self, limits: Sequence[Limit]) -> None:
        """Store limits; an empty one removes that of its group and origin."""
        ledger = self._opened()
        ledger.look(ledger.flow.set(limits))
        for queue in {limit.queue for limit in limits}:
            ledger.wake(queue)

    async def limits(self) -> list[LimitRecord]:
        """All limits as they stand."""
        ledger = self._opened()
        return ledger.flow.records(ledger.leases.jobs(), ledger.clock.now())
