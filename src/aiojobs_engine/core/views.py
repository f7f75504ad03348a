"""What people see of jobs and of failed rows, made of what every store keeps of them."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import (
    Counters,
    ErrorInfo,
    FailureAttempt,
    JobFailure,
    JobStatus,
    RowFault,
    eta_seconds,
)

_UNDER_WAY = frozenset({Status.PROCESSING, Status.WAITING})
_DIGITS = 18
_NEWEST = 2**63 - 1


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a job stands, beside its envelope.

    Attributes:
        result: encoded JSON; None without one, or when its time is over.
    """

    status: Status
    counters: Counters
    attempts: int
    crashes: int
    epoch: int
    scheduled_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    worker: str | None = None
    message: str | None = None
    error: ErrorInfo | None = None
    result: bytes | str | None = None


def job_view(envelope: Envelope, job: Standing, now: Instant) -> JobStatus:
    """The public view of a job at `now`."""
    counters = job.counters
    is_under_way = job.status in _UNDER_WAY and job.started_at is not None
    running = (now - (job.started_at or now)) / 1000 if is_under_way else None
    return JobStatus(
        id=envelope.id,
        type=envelope.type,
        kind=envelope.kind,
        status=job.status,
        queue=envelope.queue,
        processed=counters.processed,
        total=counters.total,
        succeeded=counters.succeeded,
        failed=counters.failed,
        skipped=counters.skipped,
        attempts=job.attempts,
        crashes=job.crashes,
        epoch=job.epoch,
        user_id=envelope.user_id,
        strategy=envelope.strategy,
        priority=envelope.priority,
        parent_id=envelope.parent_id,
        message=job.message,
        error=job.error,
        result=None if job.result is None else msgspec.json.decode(job.result),
        meta=envelope.meta,
        tags=envelope.tags,
        created_at=moment(envelope.created_at),
        scheduled_at=None if job.scheduled_at is None else moment(job.scheduled_at),
        started_at=None if job.started_at is None else moment(job.started_at),
        finished_at=None if job.finished_at is None else moment(job.finished_at),
        worker=job.worker,
        eta_seconds=eta_seconds(counters, running_seconds=running),
    )


def failure_view(
    job_id: str, fault: RowFault, history: Sequence[FailureAttempt], *, resolved: bool
) -> JobFailure:
    """The public view of a failed row; `history` holds every try, the first one first."""
    return JobFailure(
        id=f"{job_id}:{fault.row_number:016d}",
        job_id=job_id,
        row_number=fault.row_number,
        row_key=fault.row_key,
        payload=fault.payload,
        field=fault.field,
        message=fault.message,
        attempts=len(history),
        history=tuple(history),
        resolved=resolved,
    )


def failure_row(failure_id: str | None) -> int:
    """The row number that a failure's id ends with; -1, which is before all, of None.

    Raises:
        ConfigError: it is no failure's id.
    """
    if failure_id is None:
        return -1
    number = failure_id.rpartition(":")[2]
    if not _is_number(number):
        raise ConfigError(f"{failure_id!r:.80} is no failure of this store; take the id of one")
    return int(number)


def listing_end(cursor: str | None) -> int:
    """The number before which a listing that shows the newest first goes on; None begins it.

    Raises:
        ConfigError: it is no cursor of a listing.
    """
    if cursor is None:
        return _NEWEST
    if not _is_number(cursor):
        raise ConfigError(f"{cursor!r:.80} is no cursor of this store; take next_cursor of its last page")
    return int(cursor)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS
