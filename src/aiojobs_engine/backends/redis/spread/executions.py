"""The store in several homes: the log of executions, whole in the first of them."""

from collections.abc import Sequence

from aiojobs_engine.backends.redis.spread.routes import Routes
from aiojobs_engine.ports.executions import ExecutionEntry, ExecutionFilter


class SpreadExecutions(Routes):
    """`ExecutionStore` in several homes; what each verb means stands in the port."""

    async def add_executions(self, entries: Sequence[ExecutionEntry], keep: int, age: float) -> None:
        """Store runs, and let go of the oldest."""
        await self._first.add_executions(entries, keep, age)

    async def executions(self, which: ExecutionFilter, limit: int) -> list[bytes]:
        """The records of runs that fit, the last ended first."""
        return await self._first.executions(which, limit)
