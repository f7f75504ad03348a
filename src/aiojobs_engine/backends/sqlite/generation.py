"""Whether the database is the one that was used last, or an older copy that came without its log.

The number of uses is kept in the database and in a small file beside it. A database that was copied or
restored without its `-wal` file lacks the newest commits, and with them, most often, the newest number.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger(__name__)


def generation_file(database: Path) -> Path:
    """Where the number stands beside the database."""
    return database.with_name(f"{database.name}-gen")


def check_generation(database: Path, found: int) -> None:
    """Warn when the database has been used fewer times than the file beside it says."""
    last = _read(generation_file(database))
    if last is not None and found < last:
        _log.warning(
            "%s was used %d times and %s says %d: it looks like a copy that was made or restored without its "
            "-wal file, so the newest jobs and results may be missing; back up with VACUUM INTO",
            database,
            found,
            generation_file(database).name,
            last,
        )


def write_generation(database: Path, number: int) -> None:
    """Keep the number beside the database; a place that refuses it is no reason to fail."""
    target = generation_file(database)
    draft = target.with_name(f"{target.name}-{os.getpid()}")
    with suppress(OSError):
        draft.write_text(f"{number}\n", encoding="ascii")
        draft.replace(target)


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
