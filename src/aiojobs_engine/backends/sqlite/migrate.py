"""The schema's version: made new, brought up to date, or refused."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from aiojobs_engine.backends.sqlite.errors import primary_code
from aiojobs_engine.backends.sqlite.sql import migration, sql
from aiojobs_engine.core.errors import SchemaMismatch

APPLICATION_ID = 0x61696F6A  # "aioj"
SCHEMA = 9
_TRIES = 100
_TRY_SECONDS = 0.05


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database to `SCHEMA`, in one transaction.

    Raises:
        SchemaMismatch: it belongs to another program or to a newer release.
    """
    found = _checked_version(connection, path)
    _use_log(connection)
    if found == SCHEMA:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _checked_version(connection, path)
        for number in range(found + 1, SCHEMA + 1):
            _run(connection, number)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def raise_generation(connection: sqlite3.Connection) -> int:
    """Count one more use of the database; the new number."""
    return int(connection.execute(sql("raise_generation")).fetchone()[0])


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, for which the file must be free for a moment."""
    for _ in range(_TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
            Event().wait(_TRY_SECONDS)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    owner, found = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if owner != APPLICATION_ID and (owner or found or connection.execute(sql("tables")).fetchone()[0]):
        raise SchemaMismatch(f"{path} belongs to another program; name another file in the URL")
    if found > SCHEMA:
        raise SchemaMismatch(
            f"{path} has schema version {found}, and this release knows up to {SCHEMA}: "
            "upgrade aiojobs-engine, or name another file in the URL"
        )
    return found


def _run(connection: sqlite3.Connection, number: int) -> None:
    script = migration(number)
    if script is None:
        raise SchemaMismatch(f"the migration to schema version {number} is missing from this installation")
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    begun: list[str] = []
    for line in script.splitlines(keepends=True):
        begun.append(line)
        if line.rstrip().endswith(";") and sqlite3.complete_statement("".join(begun)):
            yield "".join(begun)
            begun = []


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
