"""The Redis store: the log of executions."""

from collections.abc import Sequence

from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.ports.executions import ExecutionEntry, ExecutionFilter

_FOREVER_MS = 2**52


class RedisExecutions(Part):
    """`ExecutionStore` of the Redis store."""

    async def add_executions(self, entries: Sequence[ExecutionEntry], keep: int, age: float) -> None:
        """Store runs, and let go of the oldest."""
        if entries:
            runs = [
                (_key(each), each.record.decode(), each.job_id, each.type, each.cron or "")
                for each in entries
            ]
            await self._home.run("add_executions", (runs, keep, min(age * 1000, _FOREVER_MS)))

    async def executions(self, which: ExecutionFilter, limit: int) -> list[bytes]:
        """The records of runs that fit, the last ended first."""
        places = {"j": which.job_id, "c": which.cron, "t": which.type}
        start = next((f"{letter}{name}" for letter, name in places.items() if name is not None), "a")
        fits = (which.job_id or "", which.type or "", which.cron or "")
        found: list[bytes] = await self._home.run("executions", (start, max(0, limit), *fits))
        return found


def _key(entry: ExecutionEntry) -> str:
    """The run's identity, so made that keys sort by the end."""
    return f"{entry.ended_at:016}.{entry.token:016}.{entry.job_id}"
