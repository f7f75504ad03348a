"""A job as the memory store keeps it, and the public view of it."""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiojobs_engine.core.envelope import Envelope, decode_envelope
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.needs import BATCH, GATHERING, Need
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import (
    NO_COUNTERS,
    Counters,
    ErrorInfo,
    FailureAttempt,
    JobFailure,
    JobStatus,
    RowFault,
)
from aiojobs_engine.core.views import Standing, failure_row, failure_view, job_view

_payload_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True, eq=False)
class Family:
    """What only bulk jobs and batches have: chunks or members, and failed rows by number.

    `open` chunks have not ended yet.
    """

    chunks: dict[str, "StoredJob"] = field(default_factory=dict[str, "StoredJob"])
    open: int = 0
    progressed_at: Instant | None = None
    failures: dict[int, JobFailure] = field(default_factory=dict[int, JobFailure])
    rows: list[int] = field(default_factory=list[int])


@dataclass(slots=True, eq=False)
class StoredJob:
    """One job. `place` is its rank in the order of acceptance, and never given to another.

    Attributes:
        body: the encoded envelope, which is what callers get; `envelope` is the store's own copy.
        kept: the counters of the last checkpoint.
        has_started: False for a job that its worker claimed ahead and has not begun.
        lease_until: ms since boot.
        expires_at: None once a retry by hand has freed the job of it.
        turn: in its queue and priority, once it has been pending; `number` is what orders it there.
        reopened: a chunk of rows that had failed before, whose counters its parent has already.
        open_needs: how many jobs have to end before this one is claimable.
        dependents: who waits for this job, and for which end of it.
        lost: who was cancelled because this job ended in another way, and in which of their epochs.
    """

    place: int
    body: bytes
    envelope: Envelope
    status: Status
    counters: Counters
    scheduled_at: Instant | None
    expires_at: Instant | None
    parent: "StoredJob | None" = None
    reopened: bool = False
    kept: Counters | None = None
    cursor: bytes | None = None
    attempts: int = 0
    crashes: int = 0
    epoch: int = 0
    token: int = 0
    worker: str | None = None
    has_started: bool = True
    lease_until: int = 0
    cancelling: bool = False
    pausing: bool = False
    started_at: Instant | None = None
    finished_at: Instant | None = None
    message: str | None = None
    error: ErrorInfo | None = None
    result: bytes | None = None
    result_until: Instant | None = None
    family: Family | None = None
    turn: int | None = None
    number: int = 0
    open_needs: int = 0
    dependents: "list[tuple[StoredJob, Need]]" = field(default_factory=list["tuple[StoredJob, Need]"])
    lost: "list[tuple[StoredJob, int]]" = field(default_factory=list["tuple[StoredJob, int]"])

    @property
    def is_batch(self) -> bool:
        """Whether the job is a batch, whose children are members."""
        return self.envelope.kind == BATCH

    @property
    def gathers(self) -> bool:
        """Whether it runs again when its last chunk has ended."""
        return self.envelope.kind in GATHERING

    @property
    def is_chunk(self) -> bool:
        """Whether the job is part of a bulk job; a member of a batch is not."""
        return self.parent is not None and not self.parent.is_batch

    @property
    def id(self) -> str:
        """The job's id."""
        return self.envelope.id

    @property
    def has_chunks(self) -> bool:
        """Whether the counters belong to the chunks."""
        return self.family is not None and bool(self.family.chunks)

    @property
    def attempt(self) -> int:
        """The number of the run that events speak of: the present one, else the last."""
        return self.attempts + (self.status is Status.PROCESSING)

    def own_family(self) -> Family:
        """The family, made when there was none."""
        if self.family is None:
            self.family = Family()
        return self.family

    def report(self, counters: Counters | None, message: str | None, cursor: bytes | None) -> None:
        """Take in what a run says of itself."""
        if counters is not None and not self.has_chunks:
            self.counters = counters
        if message is not None:
            self.message = message
        if cursor is not None:
            self.cursor = cursor or None
            self.kept = self.counters if cursor else None

    def kept_counters(self) -> Counters:
        """The counters of a new run: those of the last checkpoint under the present total."""
        if self.has_chunks:
            return self.counters
        kept = self.kept or NO_COUNTERS
        total = max(self.counters.total, kept.processed)
        return Counters(kept.succeeded, kept.failed, kept.skipped, total)

    def is_expired(self, now: Instant) -> bool:
        """Whether it is too late to start."""
        return self.expires_at is not None and self.expires_at <= now

    def result_is_over(self, now: Instant) -> bool:
        """Whether there was a result that is kept no longer."""
        return self.result_until is not None and self.result_until <= now


def job_status(job: StoredJob, now: Instant) -> JobStatus:
    """What people see of a job; nothing in it is shared with the store."""
    standing = Standing(
        status=job.status,
        counters=job.counters,
        attempts=job.attempts,
        crashes=job.crashes,
        epoch=job.epoch,
        scheduled_at=job.scheduled_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        worker=job.worker,
        message=job.message,
        error=job.error,
        result=None if job.result_is_over(now) else job.result,
    )
    return job_view(decode_envelope(job.body), standing, now)


def note_faults(job: StoredJob, faults: Iterable[RowFault], now: Instant) -> None:
    """Keep failed rows of a bulk job, or one more try of those that are there."""
    family = job.own_family()
    for fault in faults:
        known = family.failures.get(fault.row_number)
        if known is None:
            insort(family.rows, fault.row_number)
        tried = FailureAttempt(at=moment(now), message=fault.message, field=fault.field)
        history = (*(known.history if known else ()), tried)
        own = msgspec.structs.replace(fault, payload=_own(fault.payload))
        family.failures[fault.row_number] = failure_view(job.id, own, history, resolved=False)


def resolve_rows(job: StoredJob, rows: Iterable[int], now: Instant) -> int:
    """Mark failed rows as resolved; how many of `rows` were unresolved."""
    family, resolved = job.own_family(), 0
    for row in rows:
        failure = family.failures.get(row)
        if failure is None or failure.resolved:
            continue
        history = (*failure.history, FailureAttempt(at=moment(now), message="", resolved=True))
        family.failures[row] = msgspec.structs.replace(
            failure, attempts=len(history), history=history, resolved=True
        )
        resolved += 1
    return resolved


def list_failures(job: StoredJob, *, unresolved: bool, after: str | None, limit: int) -> list[JobFailure]:
    """At most `limit` failed rows behind the failure `after`, in row order."""
    if job.family is None:
        return []
    rows, failures = job.family.rows, job.family.failures
    start = bisect_right(rows, failure_row(after))
    found: list[JobFailure] = []
    for row in rows[start:]:
        if len(found) >= limit:
            break
        if not (unresolved and failures[row].resolved):
            found.append(msgspec.structs.replace(failures[row], payload=_own(failures[row].payload)))
    return found


def _own(payload: dict[str, Any]) -> dict[str, Any]:
    """A copy that shares nothing, as plain JSON data."""
    return _payload_decoder.decode(msgspec.json.encode(payload))
