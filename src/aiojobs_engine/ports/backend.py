"""The port: what a store of jobs must do. Four Protocols, every method in batches, none optional.

Laws of every method:

- A batch is answered by a list in the batch's order; an empty batch doesn't touch the store.
- A batch is atomic per element, not as a whole: an element that is refused changes nothing and never
  fails its neighbours. What one element changes (state, counters, failed rows, children, event) changes
  together or not at all.
- Everything may be repeated: ids are made by the caller, and the lease token fences what a worker writes.
- Cancelling a call leaves its effect open (it took place or it didn't), never half done.

Every method raises `BackendUnavailable` when the store can't be reached (repeat the call), `BackendFull`
when it has no room, and `BackendClosed` outside of `open` and `close`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobEvent, StoredEvent
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, ErrorInfo, JobFailure, JobStatus, RowFault


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A claim with an end. `token` rises by one per claim of a job and fences every write.

    `ref` is the store's own address of the job, so that it needs no look-up; nobody else reads it.
    """

    job_id: str
    queue: str
    token: int
    ref: int = 0


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job in a worker's hands.

    Attributes:
        attempts: counted attempts before this run; `crashes` of them were dead workers.
        cursor: what the last run checkpointed, encoded; None without a checkpoint.
        counters: what a checkpoint kept, else zeros (the total stays).
        started_at: start of this run, ms since the epoch.
        cancelling: somebody asked to cancel the job while its last lease ran.
        lost_worker: only from `rescue`: the worker whose lease ran out.
    """

    envelope: Envelope
    lease: Lease
    attempts: int
    crashes: int
    epoch: int
    started_at: Instant
    counters: Counters
    cursor: bytes | None = None
    cancelling: bool = False
    lost_worker: str | None = None


class Watch(msgspec.Struct, frozen=True):
    """What a worker claims: only these types, only from these queues. A store may cache what it derives."""

    worker: str
    queues: tuple[str, ...]
    types: tuple[str, ...]


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """What became of a dispatched envelope: stored now, there already, or its id taken by another job."""

    job_id: str
    created: bool
    conflict: bool = False


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of one run, as the finalizer decided it; all values are absolute, for the token guards them.

    Attributes:
        status: the next status.
        due_at: when a `retrying` or `scheduled` job is due; ms since the epoch.
        result: encoded JSON, kept until `result_until`.
        parent_id: of a chunk, its bulk job.
        counters: the job's own counters from now on; None leaves them. Of a chunk (`parent_id`) that ends they
            are added to its parent's in the same write, also when it was cancelled or failed.
        resolved: not None marks a chunk of rows that had failed before: instead of adding `counters` to the
            parent, these row numbers move there from `failed` to `succeeded` and their failures become resolved.
        cursor: None leaves the checkpoint, b"" drops it.
        faults: rows that failed, stored as failures of the parent (of the job itself without one), keyed by row
            number: one that is there already gets one more entry in its history.
        event: stored with it, without an id.
    """

    lease: Lease
    status: Status
    attempts: int
    crashes: int
    event: JobEvent
    parent_id: str | None = None
    due_at: Instant | None = None
    result: bytes | None = None
    result_until: Instant | None = None
    error: ErrorInfo | None = None
    counters: Counters | None = None
    message: str | None = None
    cursor: bytes | None = None
    faults: tuple[RowFault, ...] = ()
    resolved: tuple[int, ...] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that a run reports while it goes on: progress, a checkpoint, its chunks.

    Attributes:
        counters: the job's own counters from now on; None leaves them.
        cursor: a checkpoint, encoded; it also keeps `counters` for the next attempt. None is no checkpoint.
        children: chunk jobs to store, skipped when their id is there already. The parent's `total` grows by
            the `total` of those that were new.
        event: stored with it; None for a write that tells nobody.
    """

    lease: Lease
    counters: Counters | None = None
    message: str | None = None
    cursor: bytes | None = None
    children: tuple[Envelope, ...] = ()
    event: JobEvent | None = None


class LeaseStatus(msgspec.Struct, frozen=True, gc=False):
    """The answer to a renewal: `held`, and whether somebody asked the run to end or to pause."""

    held: bool
    cancelling: bool = False
    pausing: bool = False


class Promoted(msgspec.Struct, frozen=True):
    """How many jobs became pending or expired, and when the next one is due; None when none is scheduled."""

    count: int
    next_due: Instant | None


class Backend(Protocol):
    """The durable store of jobs, as workers and dispatchers see it."""

    async def open(self) -> None:
        """Connect, check and migrate.

        Raises:
            SchemaMismatch: the store belongs to a newer release or to another program.
            ConfigError: the place can't be used (missing or read-only directory, wrong URL).
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go; may be repeated."""
        ...

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """Store new jobs with their `JobCreated`; due ones are `pending`, others `scheduled`."""
        ...

    async def claim(self, watch: Watch, limit: int, lease: float) -> list[Claim]:
        """Lease at most `limit` pending jobs for `lease` seconds, in claim order, with their `JobStarted`.

        Order: higher priority first, then the order in which the store accepted them. Jobs of other types or
        newer envelope versions, in paused queues, or past `expires_at` (they become `expired`) are left out,
        and don't slow the call. A new run starts with the counters that its last checkpoint kept.
        """
        ...

    async def wait(self, watch: Watch, timeout: float) -> None:  # noqa: ASYNC109 - a port states its bound
        """Return when the watched queues may have gained work, or after `timeout` seconds.

        A hint, never a promise. It takes nothing, so it may be cancelled at any moment.
        """
        ...

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        """Let leases end `lease` seconds from now; those that are lost stay lost."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End runs; False where the token is stale, and nothing changed.

        A settlement that was applied and is repeated answers True and changes nothing. Any status but a final
        or `waiting` one resets the counters to those of the last checkpoint (zeros without one; the total stays).

        Chunks: one that ends closes itself at its parent in the same write. When none is open any more and the
        parent is `waiting`, the parent ends in that write too: `cancelled` when that was asked, else by
        `core.state.parent_status` of its counters. A job that settles as `waiting` and has no open chunk ends at
        once. Each chunk that ends stores a `JobProgressed` of its parent, at most four a second per parent.
        """
        ...

    async def record(self, records: Sequence[Record]) -> list[bool]:
        """Store what runs report; False where the token is stale, and nothing changed."""
        ...

    async def promote(self, limit: int) -> Promoted:
        """Make at most `limit` due jobs pending, and expire those past `expires_at`."""
        ...

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        """Take over at most `limit` leases that ran out, under a new token, for `worker` to finalize.

        Each stores a `LeaseLost`. The jobs stay `processing`; `lost_worker` names the dead holder.
        """
        ...


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """What a cancel met: the status before it, None for an unknown id; `done` when it took or will take effect."""

    before: Status | None
    done: bool


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None means any. `dead` selects the dead letter queue."""

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


class Keep(msgspec.Struct, frozen=True):
    """How long final jobs of some statuses stay: whichever comes first. Seconds and a number of jobs."""

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


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at one read. `oldest_age` is the seconds that the oldest pending job has been due, None without one."""

    name: str
    paused: bool
    counts: Mapping[str, int]
    oldest_age: float | None


class Control(Protocol):
    """Interventions by people and programs; each stores its event with the change."""

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel queued jobs at once; flag running ones.

        Of a waiting parent the queued chunks are cancelled and the running ones flagged; it ends as `cancelled`
        at once or, while chunks run, with the last of them.
        """
        ...

    async def pause(self, ids: Sequence[str]) -> list[bool]:
        """Park queued jobs as `paused`, flag running ones; False where the status doesn't allow it."""
        ...

    async def resume(self, ids: Sequence[str]) -> list[bool]:
        """Make paused jobs pending again; False where the status doesn't allow it."""
        ...

    async def retry(self, ids: Sequence[str]) -> list[bool]:
        """Start final jobs anew: attempts, crashes and counters 0, no cursor, epoch + 1, same id and place in time.

        False where the table forbids it, and for chunks (`reopen` runs their rows). A bulk job loses the chunks
        and failures of its last epoch.
        """
        ...

    async def reopen(self, parent_id: str, children: Sequence[Envelope]) -> bool:
        """Give a `partial` or `failed` bulk job chunks for its unresolved rows: it waits again, epoch + 1.

        False where the status doesn't allow it, or without children. Counters and total stay as they are until
        the chunks settle.
        """
        ...

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that nobody runs, with failures and chunks; False for unknown and processing ones."""
        ...

    async def prune(self, keeps: Sequence[Keep], limit: int) -> list[str]:
        """Remove at most `limit` old final jobs that are no chunks, and results past their time; the ids removed."""
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


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `handle.result()` needs: `result` is None when the job has none or its time is over (`expired`)."""

    status: Status
    type: str
    result: bytes | None
    expired: bool
    error: ErrorInfo | None


class Inspector(Protocol):
    """Reading for people and handles; it delays no worker."""

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand; None for unknown ids."""
        ...

    async def find(self, which: JobFilter, limit: int, cursor: str | None) -> tuple[list[JobStatus], str | None]:
        """At most `limit` jobs, newest first, and the cursor of the next page, None at the end.

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

    async def counts(self) -> dict[tuple[str, Status], int]:
        """Jobs by queue and status."""
        ...

    async def queues(self) -> list[QueueStats]:
        """Every queue that has or had jobs, or is paused, by name."""
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


class EventStream(Protocol):
    """The stored events of all processes, in the order of the store, within bounds."""

    async def read(self, after: str | None, limit: int) -> tuple[Sequence[StoredEvent], str]:
        """About `limit` events after the cursor, and where to go on; None reads from the oldest one kept.

        Raises:
            ConfigError: the cursor is not one of this store.
        """
        ...

    async def tail(self) -> str:
        """The cursor of the newest event."""
        ...

    async def since(self, at: Instant) -> str:
        """A cursor before every kept event of `at` or later; cheap, not exact."""
        ...

    async def wait_events(self, after: str, timeout: float) -> None:  # noqa: ASYNC109 - a port states its bound
        """Return when events after the cursor may be there, or after `timeout` seconds; a hint."""
        ...

    def tap(self, sink: Callable[[Sequence[JobEvent]], None] | None) -> None:
        """Call `sink` on the loop with the events that this process stored, in order, after each write."""
        ...


class Store(Backend, Control, Inspector, EventStream, Protocol):
    """All four: what a URL opens and the conformance suite holds to account."""
