"""The port's side for the log of executions; the laws of `ports/backend.py` hold here too."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aiojobs_engine.core.instant import Instant


class ExecutionEntry(msgspec.Struct, frozen=True, gc=False):
    """One run as the store keeps it; job, token and end together are its identity.

    Attributes:
        token: that of the run's lease.
        cron: the name of the cron entry that stored the job, None without one.
        record: JSON, opaque to the store.
    """

    job_id: str
    token: int
    type: str
    cron: str | None
    ended_at: Instant
    record: bytes


class ExecutionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs; None means any."""

    job_id: str | None = None
    type: str | None = None
    cron: str | None = None


class ExecutionStore(Protocol):
    """What ran, for people: apart from the jobs, so that it outlives them."""

    async def add_executions(self, entries: Sequence[ExecutionEntry], keep: int, age: float) -> None:
        """Store runs, and let go of the oldest; one that is there already is passed over.

        At least the newest `keep` stay and few more, none that ended `age` seconds ago or earlier for long.
        """
        ...

    async def executions(self, which: ExecutionFilter, limit: int) -> list[bytes]:
        """The records of at most `limit` runs that fit all of `which`, the last ended first."""
        ...
