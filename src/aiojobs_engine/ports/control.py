"""The port's side for people and programs that intervene; the laws of `ports/backend.py` hold here too."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """What a cancel met: the status before it, None for an unknown id; `done`: it takes effect, now or later.

    A job that is `cancelled` already is `done`, so that a cancel can be repeated.
    """

    before: Status | None
    done: bool


class Keep(msgspec.Struct, frozen=True):
    """How long final jobs of some statuses stay: whichever comes first. Seconds and a number of jobs.

    `keep` counts all `statuses` together, without chunks; the newest stay.
    """

    statuses: tuple[Status, ...]
    age: float
    keep: int


class WorkerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process as it announces itself at every renewal."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    slots: int
    running: int
    started_at: Instant
    beat_at: Instant
    version: str = ""


class TypeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job type as workers publish it, so that others dispatch by name.

    Attributes:
        options: the dispatch-time options in their resolved form.
        schema: JSON Schema of the arguments.
    """

    name: str
    kind: str
    queue: str
    options: dict[str, Any]
    schema: dict[str, Any]


class Control(Protocol):
    """Interventions by people and programs; each stores its event with the change."""

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel queued jobs at once; flag running ones.

        Of a waiting parent the queued chunks are cancelled and the running ones flagged; it ends as
        `cancelled` at once or, while chunks run, with the last of them. A chunk that the store ends adds its
        own counters to its parent's, unless it came by `reopen`, and stores no `JobProgressed`. Chunks are
        cancelled with their parent alone: asked for one itself, nothing is `done`. Members of a batch are
        cancelled with it, those that wait too, however deep batches nest; each can be cancelled alone.
        """
        ...

    async def pause(self, ids: Sequence[str]) -> list[bool]:
        """Park queued jobs as `paused`, with a `JobInterrupted`; flag running ones.

        False where the table forbids it.
        """
        ...

    async def resume(self, ids: Sequence[str]) -> list[bool]:
        """Make paused jobs pending again, with a `JobInterrupted`; False where the table forbids it.

        Of a running job that was to pause this is taken back, without an event, and the answer is True.
        """
        ...

    async def retry(self, ids: Sequence[str]) -> list[bool]:
        """Start final jobs anew: attempts, crashes and counters 0, no cursor, epoch + 1, same id and place.

        False where the table forbids it, for chunks (`reopen` runs their rows) and for batches. A member is
        open again in its batch and no longer among the failed; a batch that is `failed` or `partial` waits
        again for it, with its own batch, epoch + 1, without error and end, and with a `JobRetrying` of the
        status `waiting`. One that is cancelled, or is being, the member leaves for good. What the job needed
        it needs no more. A bulk job loses the
        chunks and failures of its last epoch; runs of those chunks have lost their lease. Error, result,
        message, start and end are dropped, `scheduled_at` is now, and `expires_at` binds no longer. The total
        is the envelope's. Stores a `JobRetrying` with the status `pending`, due now.

        After all of them, jobs that are `cancelled` because one of these, or a batch that waits again, had
        ended (`core.needs.is_revivable`) wait for it again: epoch + 1, no error, no end, free of
        `expires_at`, members as above, with a `JobRetrying` of the status `waiting`. So do those behind them.
        One stays as it is while another of its needs can't be met. Needs of jobs that are stored no more
        count as met.
        """
        ...

    async def reopen(self, parent_id: str, children: Sequence[Envelope]) -> bool:
        """Give a `partial` or `failed` bulk job chunks for its unresolved rows: it waits again, epoch + 1.

        False where the status doesn't allow it, or when none of the children is new. Counters and total stay
        as they are until the chunks settle; error and end are dropped. Stores a `JobRetrying` of the parent
        with the status `waiting`, due now, and the `JobCreated` of the chunks.
        """
        ...

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that nobody runs, with failures, chunks and members, without an event.

        False for unknown ones, for those that run or whose chunks run, and for chunks and members, which go
        with their parent. Jobs that wait for one of them, and don't go too, are cancelled.
        """
        ...

    async def prune(self, keeps: Sequence[Keep], limit: int) -> list[str]:
        """Remove at most `limit` old final jobs that are no chunks, and results past their time.

        The ids of the jobs removed, without those of their chunks. `finished_at` tells the age: those that
        ended first go first, and those whose chunks run stay.
        """
        ...

    async def pause_queue(self, name: str) -> None:
        """Let no more jobs of the queue be claimed; running ones go on."""
        ...

    async def resume_queue(self, name: str) -> None:
        """Let them be claimed again."""
        ...

    async def beat(self, worker: WorkerRecord) -> None:
        """Announce a worker; one that was silent for a minute may be forgotten."""
        ...

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that stopped."""
        ...

    async def publish(self, types: Sequence[TypeRecord]) -> None:
        """Make job types known to dispatchers; the newest wins."""
        ...
