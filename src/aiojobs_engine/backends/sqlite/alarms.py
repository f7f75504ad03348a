"""What the operator should know: a broken SQLite that is shared, a log that doesn't shrink."""

import logging
import sqlite3
from pathlib import Path

from aiojobs_engine.backends.sqlite.transaction import Transaction

LOG_BYTES = 64 * 1024 * 1024
_Version = tuple[int, ...]
_log = logging.getLogger(__name__)


def loses_commits(version: _Version) -> bool:
    """Whether this SQLite has the WAL-reset bug: two processes that write at once may corrupt the file.

    Source: sqlite.org/wal.html#walresetbug: 3.7.0 to 3.51.2, but for the backports 3.44.6 and 3.50.7.
    """
    if not (3, 7, 0) <= version <= (3, 51, 2):
        return False
    return not (version[:2] == (3, 44) and version >= (3, 44, 6)) and not (
        version[:2] == (3, 50) and version >= (3, 50, 7)
    )


class Alarms:
    """Looks at the store now and then, and says each thing once."""

    def __init__(self, path: Path) -> None:
        """Watch over the database at `path`."""
        self._path = path
        self._data_version: int | None = None
        self._is_shared = False
        self._is_long = False

    def look(self, tx: Transaction) -> None:
        """See whether others write too, and how long the log is."""
        self._look_for_others(tx)
        self._look_at_log()

    def _look_for_others(self, tx: Transaction) -> None:
        if self._is_shared or not loses_commits(sqlite3.sqlite_version_info):
            return
        version = tx.data_version()
        if self._data_version is not None and version != self._data_version:
            self._is_shared = True
            _log.warning(
                "SQLite %s can lose commits when several processes write to %s at once "
                "(sqlite.org/wal.html#walresetbug); use 3.51.3, 3.50.7 or 3.44.6",
                sqlite3.sqlite_version,
                self._path,
            )
        self._data_version = version

    def _look_at_log(self) -> None:
        try:
            size = self._path.with_name(f"{self._path.name}-wal").stat().st_size
        except OSError:
            return
        if size <= LOG_BYTES:
            self._is_long = False
        elif not self._is_long:
            self._is_long = True
            _log.warning(
                "the log of %s has grown to %d MB: some program reads the database without a pause; end it",
                self._path,
                size // (1024 * 1024),
            )
