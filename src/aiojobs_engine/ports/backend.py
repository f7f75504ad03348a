"""The port: what a store of jobs must do. Seven Protocols, every method in batches, none optional.

Laws of every method:

- A batch is answered by a list in the batch's order; an empty batch doesn't touch the store.
- A batch is atomic per element, not as a whole: an element that is refused changes nothing and never
  fails its neighbours. What one element changes (state, counters, failed rows, children, event) changes
  together or not at all.
- Everything may be repeated: ids are made by the caller, and the lease token fences what a worker writes.
- Cancelling a call leaves its effect open (it took place or it didn't), never half done.
- An instant (`due_at`, `expires_at`, `result_until`, the end of a lease) is reached at its very millisecond:
  `now >= it`.
- Jobs keep the place at which the store accepted them, whatever becomes of them: releases, retries and
  resumes don't send them to the end.
- Events that the store makes itself carry `attempts + 1` while the job runs, else `attempts`. Those that it
  is given are stored as they are.
- The counters of a job that has chunks are moved by its chunks alone: no claim or settlement resets them, and
  `counters` in its own settlements and records are passed over.

Every method raises `BackendUnavailable` when the store can't be reached (repeat the call), `BackendFull`
when it has no room, and `BackendClosed` outside of `open` and `close`.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.control import Cancelled, Control, Keep, TypeRecord, WorkerRecord
from aiojobs_engine.ports.cron import CronStore
from aiojobs_engine.ports.executions import ExecutionStore
from aiojobs_engine.ports.flow import FlowStore
from aiojobs_engine.ports.inspector import Inspector, JobFilter, Outlook, QueueStats, Result
from aiojobs_engine.ports.stream import EventStream

__all__ = [
    "Backend",
    "Cancelled",
    "Claim",
    "Control",
    "CronStore",
    "Enqueued",
    "EventStream",
    "FlowStore",
    "Inspector",
    "JobFilter",
    "Keep",
    "Lease",
    "LeaseStatus",
    "Outlook",
    "Promoted",
    "QueueStats",
    "Record",
    "Result",
    "Settlement",
    "Store",
    "TypeRecord",
    "Watch",
    "WorkerRecord",
]


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A claim with an end. `token` rises by one per claim of a job and fences every write.

    `ref` is the store's own address of the job, so that it needs no look-up; nobody else reads it. A job that
    was deleted and stored again under its id has another address, so old leases don't fit it.
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
        started_at: start of this run, ms since the epoch; from `rescue` that of the lost one.
        cancelling: somebody asked to cancel the job while its last lease ran.
        lost_worker: only from `rescue`: the worker whose lease ran out.
        has_started: False, from `rescue`, for a job that was claimed ahead and never begun; from `claim`, for
            one that was leased in a wait, which counts as claimed ahead.
        age: seconds that its lease may have lasted before the call.
        failed_trace: the `trace` of the job's last error, None without one.
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
    has_started: bool = True
    age: float = 0.0
    failed_trace: str | None = None


class Watch(msgspec.Struct, frozen=True):
    """What a worker claims: only these types, only from these queues. A store may cache what it derives."""

    worker: str
    queues: tuple[str, ...]
    types: tuple[str, ...]


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """What became of a dispatched envelope: stored now, there already, or its id taken by another job.

    Of a unique job that lost, `job_id` is the one that kept it out.
    `missing` names a job that an envelope of the call needs and that is not stored, or the batch of one, when
    that is none or takes no members any more; nothing of the call was stored then.
    `refused`: its queue is full and refuses, or lets dispatchers wait; it is not stored.
    """

    job_id: str
    created: bool
    conflict: bool = False
    missing: str | None = None
    refused: bool = False


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of one run, as the finalizer decided it; all values are absolute, for the token guards them.

    Attributes:
        status: the next status.
        due_at: when a `retrying` or `scheduled` job is due; ms since the epoch. None is at once.
        result: encoded JSON, kept until `result_until`, without one as long as the job; None drops an older
            one.
        error: None drops an older one.
        parent_id: of a chunk, its bulk job.
        counters: the job's own counters from now on; None leaves them. Of a chunk (`parent_id`) that ends
            they are added to its parent's in the same write, also when it was cancelled or failed.
        resolved: not None marks a chunk of rows that had failed before: instead of adding `counters` to the
            parent, these row numbers move there from `failed` to `succeeded` and their failures become
            resolved.
        message: None leaves it.
        cursor: None leaves the checkpoint, b"" drops it, anything else is one, which keeps the counters too.
        faults: rows that failed, stored as failures of the parent (of the job itself without one), keyed by
            row number, whatever the status. The history holds every try, the first one too, and `attempts` is
            its length; one that is there already gets one more entry, shows the new row and message, and is
            unresolved.
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
        message: None leaves it.
        cursor: a checkpoint, encoded; it also keeps the counters for the next attempt. None is no checkpoint,
            b"" drops the last one.
        children: chunk jobs of this job to store with their `JobCreated`, skipped when their id is there
            already. The parent's `total` grows by the `total` of those that were new. Chunks come this way
            and by `reopen`, never by `enqueue`.
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
        """Store new jobs with their `JobCreated`; due ones are `pending`, others `scheduled`.

        An id that is stored, or stands earlier in the batch, is not stored again: `created` is False when
        `core.envelope.is_same_job`, else it is a `conflict`. `BackendFull` refuses the whole batch.

        A new id with a `unique` rule loses when the newest job that is stored (or stands earlier in the
        batch) under the same key and queue keeps it out, by `core.unique.keeps_out`: the answer is that job's
        id, `created` False, and nothing is stored. If the rule `replaces`, and that job has the same type and
        is `scheduled` or `pending`, it becomes `core.unique.replaced` of the two in that write: it keeps id,
        place and `created_at`, everything else of the envelope is the new one's, and it is `pending` or
        `scheduled` as a new one would be, with a `JobInterrupted` when its status changes. A job holds its
        key until it is deleted, whatever way it was stored.
        Batches: an envelope of the kind `core.needs.BATCH` is stored as `waiting`, started now; nobody claims
        it. A new one whose `parent_id` is a batch that is stored, or stands earlier in the call, becomes a
        member: the batch's total grows by one. A batch takes members while it waits and nobody cancelled it,
        and stays open during the call; one that has no open member at its end ends then. A call with a
        link is stored whole or not at all; all its answers name what is `missing`. It holds no `unique` rule.

        Needs: a new job whose `needs` are not all met yet is stored as `waiting`. Each need names a job that
        is stored or stands earlier in the call, so that none wait for each other; `core.needs.verdict` says
        when it is met. With the last one the job becomes `pending`, or `scheduled` when its `scheduled_at`
        lies ahead, in the same write and without an event; its `scheduled_at` is at least that instant. A
        need that can't be met any more cancels the job, with the error `core.needs.unmet`. What others need
        is looked at as the last thing of every call that ends jobs, in the same write, until nothing follows.
        """
        ...

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        """Lease at most `limit` pending jobs for `lease` seconds, in claim order, with their `JobStarted`.

        The last `ahead` of a full answer (fewer of a shorter one) wait in the worker for a slot: they have
        not started until `begin` says so, and a rescue tells which never did.

        Order, across the queues: higher priority first, then the order in which the store accepted them. Jobs
        of other types or newer envelope versions, in paused queues, or past `expires_at` are left out, and
        don't slow the call. Those past `expires_at` that it meets become `expired`; it may expire more of
        them. A new run starts with the counters that its last checkpoint kept.

        Limits (`ports/flow.py`) are decided before: a job that they hold back stays `pending`, untouched, and
        doesn't slow the call. Within a queue and priority, jobs with a `fair_key` go by their turns
        (`core/fairness.py`).
        """
        ...

    async def wait(self, watch: Watch, timeout: float, *, is_idle: bool = False) -> None:
        """Return when the watched queues may have gained work, or after `timeout` seconds.

        Work is also what a rate lets through by now, or a limit whose `closed_until` is over. A hint, never
        a promise; at once when there is work to claim. It takes nothing, so it may be cancelled at any
        moment, and any number may wait.

        `is_idle` says that nothing runs at the watch, so that it will claim without delay: where many wait, a
        store may wake as many idle ones as there are new jobs, and leave all others to their `timeout`. It
        may also lease a new job to such a worker while it waits; then the next `claim` answers with that one,
        and a wait that is cancelled, or `leave`, gives it back. One idle wait at a time for each worker.
        """
        ...

    async def begin(self, leases: Sequence[Lease]) -> None:
        """Note that jobs which were claimed ahead run now; stale leases are left out."""
        ...

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        """Let leases end `lease` seconds from now; those that are lost stay lost.

        A lease is lost when the job has a newer token, was settled or is gone. One that merely ran out is
        held until `rescue` takes it: it can be extended, and its holder may settle and record.
        """
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End runs; False where the token is stale, and nothing changed.

        A settlement that was applied and is repeated answers True and changes nothing; so does any other one
        under the job's newest token once that has settled. Any status but a final or `waiting` one resets the
        counters to those of the last checkpoint (zeros without one; the total stays, but at least what is
        processed).

        Members: one that ends for good, whoever ends it, counts in its batch as one `succeeded` (`completed`)
        or one `failed` (any other end), in the same write, and its own counters stay its own. Batches end and
        tell progress as parents of chunks do, but one that the store ends as `failed` has the error
        `core.needs.NO_MEMBER_SUCCEEDED`.

        A cancel or pause that was asked for and that the settlement doesn't heed is carried out in the same
        write on the job as it then stands, with its own event, as if it were asked right after. A final
        status wins over both.

        Chunks: one that ends closes itself at its parent in the same write. When none is open any more and
        the parent is `waiting`, the parent ends in that write too: `cancelled` when that was asked, else by
        `core.state.parent_status` of its counters. A job that settles as `waiting` and has no open chunk ends
        at once, after its settlement's event. A parent that the store ends as `failed` has the error `rows`,
        message `no row succeeded`, reason `rows`, and the same two in its event. Each chunk that settles for
        good stores a `JobProgressed` of its parent with the parent's message, at most one in 250 ms of the
        wall clock per parent, and none when the parent ends with it or has ended. A parent's `total` is never
        below what its chunks have processed. A job that settles as final while it has open chunks takes them
        along as `cancel` does; what those that run still bring is added to its counters.

        A parent of a kind in `core.needs.GATHERING` doesn't end where no cancel was asked: it becomes
        `pending`, due now, without an event of its own, and is claimed once more.
        """
        ...

    async def record(self, records: Sequence[Record]) -> list[bool]:
        """Store what runs report; False where the token is stale, and nothing changed."""
        ...

    async def promote(self, limit: int) -> Promoted:
        """Make at most `limit` due jobs pending, and expire at most `limit` queued ones past `expires_at`.

        Expiry comes first, and holds for `scheduled`, `retrying`, `pending` and `paused` jobs. Becoming
        pending stores no event.
        """
        ...

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        """Take over at most `limit` leases that ran out, under a new token, for `worker` to finalize.

        Those that ran out first come first. Leases of another boot of the machine have run out. Each stores a
        `LeaseLost`. The jobs stay `processing`; `lost_worker` names the dead holder.
        """
        ...


class Store(Backend, Control, CronStore, ExecutionStore, FlowStore, Inspector, EventStream, Protocol):
    """All seven: what a URL opens and the conformance suite holds to account."""
