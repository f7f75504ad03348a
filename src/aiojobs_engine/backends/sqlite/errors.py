"""Where SQLite's errors become the package's own."""

import sqlite3
from pathlib import Path

from aiojobs_engine.core.errors import (
    BackendError,
    BackendFull,
    BackendUnavailable,
    ConfigError,
    EngineError,
    SchemaMismatch,
)

_CANT_OPEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_PRIMARY = 0xFF


def primary_code(error: sqlite3.Error) -> int | None:
    """The primary result code, None for an error that the library made itself (a closed connection)."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def translated(error: sqlite3.Error, path: Path) -> BackendError | sqlite3.Error:
    """What a failed statement means to the caller of an open store.

    An error that tells of a fault in this package, not of the store, stays as it is: no repeat can help.
    """
    match primary_code(error):
        case sqlite3.SQLITE_FULL:
            return BackendFull(f"{path} has no room: {error}; free disk space, purge or prune jobs")
        case sqlite3.SQLITE_TOOBIG:
            return BackendFull(f"{path} can't hold a value of this size: {error}")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return BackendUnavailable(f"another process has held the write lock of {path} too long: {error}")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return BackendUnavailable(f"{path} is damaged: {error}; restore a backup made by VACUUM INTO")
        case sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_MISMATCH | sqlite3.SQLITE_ERROR:
            return error
        case _:
            return BackendUnavailable(f"{path} can't be used: {error}")


def translated_at_open(error: sqlite3.Error, path: Path) -> EngineError | sqlite3.Error:
    """What a failed statement means while the store is being opened."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_NOTADB:
        return SchemaMismatch(f"{path} is not an SQLite database; name another file in the URL")
    if code in _CANT_OPEN:
        return ConfigError(f"{path} can't be opened for writing: {error}; check its permissions")
    return translated(error, path)
