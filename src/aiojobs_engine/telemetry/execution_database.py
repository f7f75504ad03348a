"""Execution records in an SQLite database of their own, whatever store the jobs lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
from anyio import to_thread

from aiojobs_engine.core.instant import instant
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.telemetry.execution_log import ExecutionRecord

if TYPE_CHECKING:
    import sqlite3

_PRUNE_EVERY = 1000
_BUSY_SECONDS = 10.0
FIELDS = ("job_id", "type", "name", "source")

_STATEMENTS = {
    name: files("aiojobs_engine.telemetry").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    for name in ("make_executions", "add_execution", "prune_executions", "executions")
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ExecutionRecord).decode


class ExecutionDatabase:
    """Writes to the file `path`; processes of one machine may share it."""

    def __init__(self, path: str, *, keep: int, age: float, clock: Clock) -> None:
        """Touch nothing before the first record.

        Args:
            keep: how many records stay, about.
            age: seconds that a record stays.
        """
        self._path = Path(path)
        self._keep = keep
        self._age = age
        self._clock = clock
        self._since_pruning = _PRUNE_EVERY
        self._lock = Lock()

    async def __call__(self, records: Sequence[ExecutionRecord]) -> None:
        """Store records in one transaction.

        Raises:
            sqlite3.Error: the file can't be written to.
        """
        await to_thread.run_sync(self.add, records)

    async def history(self, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
        """At most `limit` records that fit, the newest first."""
        return await to_thread.run_sync(self._history, wanted, limit)

    def add(self, records: Sequence[ExecutionRecord]) -> None:
        """The same, in this thread."""
        rows = [
            {
                **{name: getattr(record, name) for name in FIELDS},
                "status": str(record.status),
                "ended_at": instant(record.ended_at),
                "record": _encode(record).decode(),
            }
            for record in records
        ]
        self._since_pruning += len(rows)
        with self._lock, closing(self._connection()) as connection, connection:
            connection.executemany(_STATEMENTS["add_execution"], rows)
            if self._since_pruning >= _PRUNE_EVERY:
                self._since_pruning = 0
                before = self._clock.now() - round(self._age * 1000)
                values = {"keep": self._keep, "before": before}
                connection.execute(_STATEMENTS["prune_executions"], values)

    def _history(self, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
        if not self._path.exists():
            return []
        values = {name: wanted.get(name) for name in FIELDS} | {"limit": limit}
        with closing(self._connection()) as connection:
            return [_decode(row[0]) for row in connection.execute(_STATEMENTS["executions"], values)]

    def _connection(self) -> sqlite3.Connection:
        import sqlite3  # noqa: PLC0415 - programs on other stores do without

        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_STATEMENTS["make_executions"])
        return connection
