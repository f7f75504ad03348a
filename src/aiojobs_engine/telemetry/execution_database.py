"""Execution records in an SQLite database of their own, whatever store the jobs lie in."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock

import msgspec
from anyio import to_thread

from aiojobs_engine.core.instant import instant
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.telemetry.execution_log import ExecutionRecord

_TABLE = """
CREATE TABLE IF NOT EXISTS executions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS executions_of_job ON executions (job_id, number);
CREATE INDEX IF NOT EXISTS executions_of_type ON executions (type, number);
CREATE INDEX IF NOT EXISTS executions_of_name ON executions (name, number);
"""
_INSERT = """
INSERT INTO executions (job_id, type, name, source, status, ended_at, record) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_PRUNE = """
DELETE FROM executions WHERE number <= (SELECT max(number) FROM executions) - ? OR number <= (
    SELECT coalesce(max(number), 0) FROM executions WHERE ended_at < ?
)
"""
_PRUNE_EVERY = 1000
_BUSY_SECONDS = 10.0
FIELDS = ("job_id", "type", "name", "source", "status")

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
            (
                record.job_id,
                record.type,
                record.name,
                record.source,
                str(record.status),
                instant(record.ended_at),
                _encode(record).decode(),
            )
            for record in records
        ]
        self._since_pruning += len(rows)
        with self._lock, closing(self._connection()) as connection, connection:
            connection.executemany(_INSERT, rows)
            if self._since_pruning >= _PRUNE_EVERY:
                self._since_pruning = 0
                connection.execute(_PRUNE, (self._keep, self._clock.now() - round(self._age * 1000)))

    def _history(self, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
        if not self._path.exists():
            return []
        clauses = " AND ".join(f"{name} = ?" for name in FIELDS if name in wanted) or "1"
        values = [wanted[name] for name in FIELDS if name in wanted]
        query = f"SELECT record FROM executions WHERE {clauses} ORDER BY number DESC LIMIT ?"  # noqa: S608 - the names are our own
        with closing(self._connection()) as connection:
            return [_decode(row[0]) for row in connection.execute(query, (*values, limit))]

    def _connection(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_TABLE)
        return connection
