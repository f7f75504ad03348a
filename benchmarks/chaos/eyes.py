"""What is seen of a store past the engine, while a run goes on."""

import sqlite3
from pathlib import Path
from typing import Protocol

from chaos.journal import DATABASE

_QUEUED = "SELECT count(*) FROM jobs WHERE status < 4"
_OPEN = "SELECT count(*) FROM jobs WHERE status < 6"
_HELD = "SELECT id, token, parent IS NOT NULL OR chunks = 0 FROM jobs WHERE status = 4 AND worker LIKE ?"


class Eyes(Protocol):
    """A look at a store, without the engine."""

    def queued(self) -> int:
        """How many jobs wait for a worker."""
        ...

    def unfinished(self) -> int:
        """How many jobs have not ended."""
        ...

    def held(self, pid: int) -> list[tuple[str, int, int]]:
        """Id and token of each job that a worker holds, and whether its runs are written down."""
        ...


class SqliteEyes:
    """A look at a database, by the standard library's driver."""

    def __init__(self, folder: Path) -> None:
        """Look at the database of `folder`, as soon as there is one."""
        self._uri = f"file:{folder / DATABASE}?mode=ro"

    def queued(self) -> int:
        """How many jobs wait for a worker."""
        return self._count(_QUEUED)

    def unfinished(self) -> int:
        """How many jobs have not ended."""
        return self._count(_OPEN)

    def held(self, pid: int) -> list[tuple[str, int, int]]:
        """Id and token of each job that a worker holds, and whether its runs are written down."""
        connection = sqlite3.connect(self._uri, uri=True, timeout=10)
        try:
            return connection.execute(_HELD, (f"%.{pid}.%",)).fetchall()
        finally:
            connection.close()

    def _count(self, statement: str) -> int:
        connection = sqlite3.connect(self._uri, uri=True, timeout=10)
        try:
            number: int = connection.execute(statement).fetchone()[0]
        finally:
            connection.close()
        return number
