"""The reading connections: they can't write, so a listing delays no worker.

What may take a while is read in a thread. A status is read in the loop, within a tenth of a millisecond: a
thread would wait for its turn on the processor, a hundred times as long on a busy machine.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec

from aiojobs_engine.backends.sqlite.connect import BUSY_SECONDS, reader_uri
from aiojobs_engine.backends.sqlite.errors import primary_code, translated
from aiojobs_engine.backends.sqlite.sql import sql
from aiojobs_engine.core.errors import BackendClosed

_WAITING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_encode = msgspec.json.Encoder().encode


class Reader:
    """One statement per call, each with its own snapshot; any number of calls may wait at once."""

    def __init__(self, path: Path, check_file: Callable[[], None]) -> None:
        """Ask `check_file` before each read whether the path still names the file that was opened."""
        self._path = path
        self._check_file = check_file
        self._connection: aiosqlite.Connection | None = None
        self._near: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Connect; the file must be there."""
        connection = aiosqlite.connect(
            reader_uri(self._path),
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            cached_statements=64,
        )
        _let_exit(connection)
        try:
            self._connection = await connection
            await connection.execute_fetchall("PRAGMA cache_size = -4000")
            self._near = self._connected_near()
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    async def close(self) -> None:
        """Disconnect; may be repeated."""
        connection, self._connection = self._connection, None
        near, self._near = self._near, None
        if near is not None:
            near.close()
        if connection is not None:
            await connection.close()

    async def one(self, name: str, /, **values: Any) -> tuple[Any, ...]:
        """The only row that `sql/<name>.sql` gives. Lists and mappings go in as JSON."""
        connection, bound = self._connection, self._bound(values)
        if connection is None:
            raise self._closed()
        self._check_file()
        try:
            rows = list(await connection.execute_fetchall(sql(name), bound))
        except sqlite3.Error as error:
            raise translated(error, self._path) from error
        except ValueError as error:
            raise self._closed() from error
        return tuple(rows[0])

    async def value(self, name: str, /, **values: Any) -> Any:
        """The only column of the only row that `sql/<name>.sql` gives."""
        return (await self.one(name, **values))[0]

    async def value_at_once(self, name: str, /, **values: Any) -> Any:
        """The same, read in the loop, for a statement that reads a few rows by their keys.

        Where another process lets it wait (a log that is being recovered), it goes to the thread.
        """
        near = self._near
        if near is None:
            raise self._closed()
        self._check_file()
        bound = self._bound(values)
        try:
            return near.execute(sql(name), bound).fetchone()[0]
        except sqlite3.Error as error:
            if primary_code(error) not in _WAITING:
                raise translated(error, self._path) from error
        return await self.value(name, **values)

    @staticmethod
    def _bound(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: _encode(value).decode() if isinstance(value, (list, tuple, dict)) else value
            for key, value in values.items()
        }

    def _connected_near(self) -> sqlite3.Connection:
        # not bound to a thread: an engine may be opened in one loop and closed in another
        near = sqlite3.connect(
            reader_uri(self._path), uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
        with suppress(sqlite3.OperationalError):  # busy: what is read next opens the log
            near.execute("PRAGMA cache_size = -400")
            near.execute("PRAGMA user_version").fetchone()  # opens the log too, while there are descriptors
        return near

    def _closed(self) -> BackendClosed:
        return BackendClosed(f"{self._path} was closed meanwhile: use it inside `async with engine:`")


def _let_exit(connection: aiosqlite.Connection) -> None:
    """A process that forgets to close must end all the same: aiosqlite's thread would hold it for ever."""
    thread: Any = getattr(connection, "_thread", connection)
    thread.daemon = True
