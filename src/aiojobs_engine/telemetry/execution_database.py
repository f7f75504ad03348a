"""Execution records in the store of the jobs, whichever that is."""

from collections.abc import Mapping, Sequence

import msgspec

from aiojobs_engine.core.instant import instant
from aiojobs_engine.ports.executions import ExecutionEntry, ExecutionFilter, ExecutionStore
from aiojobs_engine.telemetry.execution_log import ExecutionRecord

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ExecutionRecord).decode


class ExecutionDatabase:
    """Writes to the store, so that every process that can see the jobs can see their runs."""

    def __init__(self, store: ExecutionStore, *, keep: int, age: float) -> None:
        """Touch nothing before the first record.

        Args:
            keep: how many records stay, about.
            age: seconds that a record stays.
        """
        self._store = store
        self._keep = keep
        self._age = age

    async def __call__(self, records: Sequence[ExecutionRecord]) -> None:
        """Store records in one write.

        Raises:
            BackendError: the store can't be reached, or is full.
        """
        await self._store.add_executions([_entry(record) for record in records], self._keep, self._age)

    async def history(self, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
        """At most `limit` records that fit, the newest first."""
        cron = wanted.get("name") if wanted.get("source") == "cron" else None
        which = ExecutionFilter(job_id=wanted.get("job_id"), type=wanted.get("type"), cron=cron)
        return [_decode(record) for record in await self._store.executions(which, limit)]


def _entry(record: ExecutionRecord) -> ExecutionEntry:
    token = int(record.execution_id.rpartition(".")[2])
    cron = record.name if record.source == "cron" else None
    return ExecutionEntry(record.job_id, token, record.type, cron, instant(record.ended_at), _encode(record))
