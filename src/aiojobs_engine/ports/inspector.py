"""The port's side for reading; the laws of `ports/backend.py` hold here too."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo, JobFailure, JobStatus
from aiojobs_engine.ports.control import TypeRecord, WorkerRecord


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None means any. `dead` selects the dead letter queue: failed jobs that have no chunks.

    `user_id` is compared as text. `reason` is that of the error.
    """

    ids: tuple[str, ...] | None = None
    status: tuple[Status, ...] | None = None
    type: str | None = None
    kind: str | None = None
    queue: str | None = None
    user_id: str | None = None
    tag: str | None = None
    parent_id: str | None = None
    reason: str | None = None
    dead: bool = False


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at one read. `oldest_age`: seconds that the oldest pending job has been due, None without one.

    A job is due since its `scheduled_at`, else since its `created_at`. `counts` leaves zeros out.
    """

    name: str
    paused: bool
    counts: Mapping[str, int]
    oldest_age: float | None


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `handle.result()` needs: `result` is None when the job has none or its time is over (`expired`).

    It stays `expired` after a prune has dropped the bytes.
    """

    status: Status
    type: str
    result: bytes | None
    expired: bool
    error: ErrorInfo | None


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between a job and its next step.

    Attributes:
        ahead: of a `pending` job, how many pending ones of its queue and type come before it; None of others.
        lease_until: of a `processing` job, when its lease ends unless it is renewed; ms since the epoch.
    """

    ahead: int | None = None
    lease_until: Instant | None = None


class Inspector(Protocol):
    """Reading for people and handles; it delays no worker."""

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand; None for unknown ids.

        `scheduled_at` is the envelope's, later that of the last settlement that had a `due_at`; `started_at`
        the start of the last run; `finished_at` is None until the job is final. The eta runs from
        `started_at` while the job is `processing` or `waiting`.
        """
        ...

    async def find(
        self, which: JobFilter, limit: int, cursor: str | None
    ) -> tuple[list[JobStatus], str | None]:
        """At most `limit` jobs, the last accepted first, and the cursor of the next page, None at the end.

        Raises:
            ConfigError: the cursor is not one of this store.
        """
        ...

    async def envelopes(self, ids: Sequence[str]) -> list[Envelope | None]:
        """What was dispatched, word for word; None for unknown ids."""
        ...

    async def results(self, ids: Sequence[str]) -> list[Result | None]:
        """Status, encoded result and error in one cheap read; None for unknown ids."""
        ...

    async def outlooks(self, ids: Sequence[str]) -> list[Outlook | None]:
        """What stands between jobs and their next step; None for unknown ids. People ask it, of few jobs."""
        ...

    async def counts(self) -> dict[tuple[str, Status], int]:
        """Jobs by queue and status."""
        ...

    async def queues(self) -> list[QueueStats]:
        """Every queue that has or had jobs, or is paused, by name; a store may list one that was resumed."""
        ...

    async def workers(self) -> list[WorkerRecord]:
        """The workers that announced themselves and didn't leave, by start."""
        ...

    async def types(self) -> list[TypeRecord]:
        """The published job types, by name."""
        ...

    async def failures(
        self, job_id: str, *, unresolved: bool, after: str | None, limit: int
    ) -> list[JobFailure]:
        """At most `limit` failed rows of a bulk job after the failure `after`, in row order."""
        ...
