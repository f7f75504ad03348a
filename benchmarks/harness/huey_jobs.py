"""The same jobs for huey's SQLite store, set up as its documentation says.

huey runs plain functions only. One worker thread is its fastest setting for empty jobs: more of them wait for
the same lock.
"""

from pathlib import Path
from typing import Any

from huey import SqliteHuey

from harness.app import note_moment
from harness.place import Place
from harness.tally import Tally


class HueyJobs:
    """A huey on one file, and its job types.

    Attributes:
        huey: what the consumer runs.
        empty, stamp: called with a number, they store a job.
    """

    def __init__(self, path: Path, tally: Tally, *, fsync: bool | None = None) -> None:
        """Create the file; without `fsync`, SQLite's own default holds."""
        self._tally = tally
        self.huey: Any = SqliteHuey(filename=str(path), fsync=fsync)
        self.empty: Any = self.huey.task(name="empty")(self._empty)
        self.stamp: Any = self.huey.task(name="stamp")(self._stamp)

    @classmethod
    def at(cls, place: Place, *, fsync: bool | None = None) -> "HueyJobs":
        """Those that the consumers of `place` run."""
        return cls(place.folder / "huey.db", Tally(place.tally), fsync=fsync)

    def _empty(self, n: int) -> None:
        self._tally.ran(n)

    def _stamp(self, n: int) -> None:
        note_moment(n)
        self._tally.ran(n)
