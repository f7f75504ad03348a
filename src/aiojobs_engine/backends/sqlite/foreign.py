"""Storing jobs in a transaction that belongs to the caller."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import aiosqlite

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.enqueue import encoded, enqueue
from aiojobs_engine.backends.sqlite.errors import translated
from aiojobs_engine.backends.sqlite.lanes import Lanes
from aiojobs_engine.backends.sqlite.linked import enqueue_linked
from aiojobs_engine.backends.sqlite.migrate import APPLICATION_ID, SCHEMA
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.backends.sqlite.unique import enqueue_unique
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.ports.clock import Clock


class SqliteForeign(Part):
    """`Transactional` of the SQLite store."""

    async def enqueue_in(self, connection: object, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """What `enqueue` does, in the transaction that is open on `connection`; see the port."""
        self._writing()

        def store(found: sqlite3.Connection) -> list[Enqueued]:
            return _store(found, self._path, self._clock, envelopes)

        if isinstance(connection, sqlite3.Connection):
            return store(connection)
        if isinstance(connection, aiosqlite.Connection):
            inner: Any = connection  # its thread is the only one that may use the connection
            return cast("list[Enqueued]", await inner._execute(lambda: store(inner._conn)))  # noqa: SLF001 - it has no public way to run several statements at once
        raise ConfigError(
            f"jobs are stored in transactions of sqlite3 and aiosqlite connections, got {connection!r:.80}"
        )


def _store(
    connection: sqlite3.Connection, path: Path, clock: Clock, envelopes: Sequence[Envelope]
) -> list[Enqueued]:
    try:
        _check(connection, path)
        jobs = encoded(envelopes)
        if not jobs:
            return []
        tx = Transaction(_Plain(connection), clock, Lanes())
        if any(envelope.unique is not None for envelope in envelopes):
            answers = enqueue_unique(tx, jobs)
        else:
            answers = (enqueue_linked if any(map(is_linked, envelopes)) else enqueue)(tx, jobs)
        if tx.events:
            tx.store_events()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return answers


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if not connection.in_transaction:
        raise ConfigError('no transaction is open on this connection: connection.execute("BEGIN") first')
    plain = _Plain(connection)
    files = {row[1]: row[2] for row in plain.execute("PRAGMA database_list").fetchall()}
    if not files.get("main") or Path(files["main"]).resolve() != path:
        raise ConfigError(
            f"this connection is to {files.get('main') or 'no file'}, and the jobs lie in {path}; "
            "use an outbox for another database"
        )
    found = [plain.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if found != [APPLICATION_ID, SCHEMA]:
        raise ConfigError(f"{path} was migrated by another release meanwhile; restart this program")


class _Plain:
    """A connection whose rows are tuples, whatever its owner made of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(sql, values)
