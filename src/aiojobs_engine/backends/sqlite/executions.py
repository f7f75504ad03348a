"""The SQLite store: the log of executions."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.instant import later
from aiojobs_engine.ports.executions import ExecutionEntry, ExecutionFilter

_LARGEST_TRIM = 2_000

_records = msgspec.json.Decoder(list[msgspec.Raw]).decode


class SqliteExecutions(Part):
    """`ExecutionStore` of the SQLite store. Trimming goes along an index, so not every write does it."""

    _untrimmed_executions: int | None

    async def add_executions(self, entries: Sequence[ExecutionEntry], keep: int, age: float) -> None:
        """Store runs, and now and then let go of the oldest."""
        if not entries:
            return
        untrimmed = self._untrimmed_executions
        is_trimming = untrimmed is None or untrimmed + len(entries) >= min(keep // 10, _LARGEST_TRIM // 2)
        self._untrimmed_executions = 0 if is_trimming else (untrimmed or 0) + len(entries)
        rows = [
            (each.job_id, each.token, each.type, each.cron, each.ended_at, msgspec.Raw(each.record))
            for each in entries
        ]

        def add(tx: Transaction) -> None:
            tx.run("add_executions", rows=rows)
            if is_trimming:
                before = later(tx.now, -age)
                tx.run("trim_executions", before=before, keep=keep, limit=_LARGEST_TRIM + len(rows))

        await self._write(add, len(entries))

    async def executions(self, which: ExecutionFilter, limit: int) -> list[bytes]:
        """The records of runs that fit, the last ended first."""
        reader, limit = self._reading(), max(0, limit)
        wanted = {"type": which.type, "cron": which.cron, "limit": limit}
        if which.job_id is not None:
            found = await reader.value("executions_of_job", job=which.job_id, **wanted)
        elif which.cron is not None:
            found = await reader.value("executions_of_cron", **wanted)
        elif which.type is not None:
            found = await reader.value("executions_of_type", type=which.type, limit=limit)
        else:
            found = await reader.value("executions", limit=limit)
        return [bytes(record) for record in _records(found)]
