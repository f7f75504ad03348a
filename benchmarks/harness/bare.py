"""What the standard library's SQLite driver does on this machine with nothing around it: the yardstick.

A row holds what any store of jobs would keep of one: an id of its own, queue, type, status, priority, two
instants and the arguments, with the index that a claim needs.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SLICE = 1_000
_BODY = b"x" * 150
_NOW = 1_700_000_000_000
_TABLE = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, type TEXT NOT NULL,
    status TEXT NOT NULL, priority INTEGER NOT NULL, created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL, body BLOB NOT NULL
)
"""
_INDEX = "CREATE INDEX ready ON jobs (queue, priority DESC, seq) WHERE status = 'pending'"
_INSERT = """
INSERT INTO jobs (id, queue, type, status, priority, created_at, due_at, body)
VALUES (?, 'default', 'empty', 'pending', 0, ?, ?, ?)
"""
_CLAIM = """
UPDATE jobs SET status = 'processing' WHERE seq IN (
    SELECT seq FROM jobs WHERE queue = 'default' AND status = 'pending' ORDER BY priority DESC, seq LIMIT 100
) RETURNING seq
"""

_Row = tuple[str, int, int, bytes]


def drain_per_second(folder: Path, jobs: int) -> float:
    """Jobs per second of a loop that claims a batch of 100 in one transaction and deletes it in the next."""
    with _database(folder / "bare-drain.db") as connection:
        _fill(connection, jobs)
        started = time.perf_counter()
        while seqs := _claimed(connection):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM jobs WHERE seq = ?", seqs)
            connection.execute("COMMIT")
        return jobs / (time.perf_counter() - started)


def insert_per_second(folder: Path, jobs: int) -> float:
    """Jobs per second of inserts in transactions of 1,000."""
    with _database(folder / "bare-insert.db") as connection:
        started = time.perf_counter()
        _fill(connection, jobs)
        return jobs / (time.perf_counter() - started)


def commits_per_second(folder: Path, commits: int) -> float:
    """Transactions per second that insert one job each."""
    with _database(folder / "bare-commit.db") as connection:
        started = time.perf_counter()
        for number in range(commits):
            _insert(connection, [_row(number)])
        return commits / (time.perf_counter() - started)


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_TABLE)
        connection.execute(_INDEX)
        yield connection
    finally:
        connection.close()


def _row(number: int) -> _Row:
    return f"job-{number:024d}", _NOW, _NOW, _BODY


def _fill(connection: sqlite3.Connection, jobs: int) -> None:
    for start in range(0, jobs, _SLICE):
        _insert(connection, [_row(number) for number in range(start, min(start + _SLICE, jobs))])


def _insert(connection: sqlite3.Connection, rows: list[_Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT, rows)
    connection.execute("COMMIT")


def _claimed(connection: sqlite3.Connection) -> list[tuple[int]]:
    connection.execute("BEGIN IMMEDIATE")
    found: list[tuple[int]] = connection.execute(_CLAIM).fetchall()
    connection.execute("COMMIT")
    return found
