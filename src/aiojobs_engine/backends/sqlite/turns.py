"""How processes that share a file take turns at its write lock.

SQLite's own waiting sleeps longer and longer, up to 100 ms, while a busy holder takes the lock again within
microseconds: the second of two busy processes hardly ever had it. So those who wait look often, and a holder
that sees others write leaves the lock alone for a moment after each round.
"""

import sqlite3
from threading import Event

from aiojobs_engine.backends.sqlite.errors import primary_code
from aiojobs_engine.ports.clock import Clock

LOOK_SECONDS = 0.0005
_LOOK_LONGER_AFTER = 100
_LOOK_LATER_SECONDS = 0.005
_PAUSE_SECONDS = 0.001
_POLITE_ROUNDS = 16


class Turns:
    """Begins the write transactions of one connection, whose own busy timeout is 0."""

    def __init__(self, clock: Clock, patience: float) -> None:
        """Wait at most about `patience` seconds for the lock."""
        self._clock = clock
        self._patience = patience
        self._never = Event()
        self._data_version: int | None = None
        self._polite = 0
        self._released_at = 0.0

    def begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock.

        Raises:
            sqlite3.OperationalError: somebody else has held it too long.
        """
        self._let_others_in()
        waited, looks = 0.0, 0
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or waited >= self._patience:
                    raise
            else:
                break
            pause = LOOK_SECONDS if looks < _LOOK_LONGER_AFTER else _LOOK_LATER_SECONDS
            self._never.wait(pause)
            waited, looks = waited + pause, looks + 1
        self._notice_others(connection)

    def released(self) -> None:
        """The transaction is over."""
        self._released_at = self._clock.monotonic()

    def _let_others_in(self) -> None:
        if self._polite:
            self._polite -= 1
            left = _PAUSE_SECONDS - (self._clock.monotonic() - self._released_at)
            if left > 0:
                self._never.wait(left)

    def _notice_others(self, connection: sqlite3.Connection) -> None:
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if self._data_version is not None and version != self._data_version:
            self._polite = _POLITE_ROUNDS
        self._data_version = version
