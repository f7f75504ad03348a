"""The memory store: the log of executions."""

from collections.abc import Sequence
from operator import attrgetter

from aiojobs_engine.backends.memory.ledger import Part
from aiojobs_engine.core.instant import later
from aiojobs_engine.ports.executions import ExecutionEntry, ExecutionFilter

Identity = tuple[str, int, int]


class MemoryExecutions(Part):
    """`ExecutionStore` of the memory store."""

    _executions: dict[Identity, ExecutionEntry]

    async def add_executions(self, entries: Sequence[ExecutionEntry], keep: int, age: float) -> None:
        """Store runs, and let go of the oldest."""
        clock, kept = self._opened().clock, self._executions
        for entry in entries:
            kept.setdefault((entry.job_id, entry.token, entry.ended_at), entry)
        before = later(clock.now(), -age)
        ordered = sorted(kept.items(), key=lambda pair: pair[1].ended_at)
        surplus = len(ordered) - keep
        for place, (identity, entry) in enumerate(ordered):
            if place >= surplus and entry.ended_at > before:
                break
            del kept[identity]

    async def executions(self, which: ExecutionFilter, limit: int) -> list[bytes]:
        """The records of runs that fit, the last ended first."""
        self._opened()
        wanted = [
            entry
            for entry in self._executions.values()
            if which.job_id in (None, entry.job_id)
            and which.type in (None, entry.type)
            and which.cron in (None, entry.cron)
        ]
        wanted.sort(key=attrgetter("ended_at"), reverse=True)
        return [entry.record for entry in wanted[: max(0, limit)]]
