"""From what the store keeps to what people see."""

from typing import Any

import msgspec

from aiojobs_engine.backends.sqlite.codes import STATUSES
from aiojobs_engine.core.envelope import decode_envelope
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import (
    Counters,
    ErrorInfo,
    FailureAttempt,
    JobFailure,
    JobStatus,
    eta_seconds,
)
from aiojobs_engine.ports.backend import Result

_DIGITS = 18
_UNDER_WAY = frozenset({Status.PROCESSING, Status.WAITING})


class SeenJob(msgspec.Struct, array_like=True, gc=False):
    """A row of `sql/get.sql` and of the listings."""

    seq: int
    id: str
    code: int
    attempts: int
    crashes: int
    epoch: int
    scheduled_at: int | None
    started_at: int | None
    finished_at: int | None
    worker: str | None
    succeeded: int
    failed: int
    skipped: int
    total: int
    message: str | None
    error: str | None
    result: str | None
    body: str


class SeenResult(msgspec.Struct, array_like=True, gc=False):
    """A row of `sql/results.sql`."""

    id: str
    code: int
    type: str
    result: str | None
    is_over: bool
    error: str | None


class SeenTry(msgspec.Struct, array_like=True, gc=False):
    """An entry of a failure's history."""

    at: int
    message: str
    field: str | None
    resolved: int


class SeenFailure(msgspec.Struct, array_like=True, gc=False):
    """A row of `sql/failures.sql`."""

    row_number: int
    row_key: str | None
    payload: dict[str, Any]
    field: str | None
    message: str
    history: list[SeenTry]
    resolved: bool


decode_failures = msgspec.json.Decoder(list[SeenFailure]).decode
decode_seen = msgspec.json.Decoder(list[SeenJob]).decode
decode_results = msgspec.json.Decoder(list[SeenResult]).decode
decode_bodies = msgspec.json.Decoder(list[tuple[str, str]]).decode
_decode_error = msgspec.json.Decoder(ErrorInfo).decode


def job_status(job: SeenJob, now: Instant) -> JobStatus:
    """The public view of a job."""
    envelope = decode_envelope(job.body)
    counters = Counters(job.succeeded, job.failed, job.skipped, job.total)
    running = None
    if STATUSES[job.code] in _UNDER_WAY and job.started_at is not None:
        running = (now - job.started_at) / 1000
    return JobStatus(
        id=envelope.id,
        type=envelope.type,
        kind=envelope.kind,
        status=STATUSES[job.code],
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
        error=error_info(job.error),
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


def job_result(row: SeenResult) -> Result:
    """What `handle.result()` needs."""
    return Result(
        status=STATUSES[row.code],
        type=row.type,
        result=None if row.is_over or row.result is None else row.result.encode(),
        expired=row.is_over,
        error=error_info(row.error),
    )


def job_failure(job_id: str, row: SeenFailure) -> JobFailure:
    """The public view of a row that failed."""
    return JobFailure(
        id=f"{job_id}:{row.row_number:016d}",
        job_id=job_id,
        row_number=row.row_number,
        row_key=row.row_key,
        payload=row.payload,
        field=row.field,
        message=row.message,
        attempts=len(row.history),
        history=tuple(
            FailureAttempt(moment(tried.at), tried.message, tried.field, bool(tried.resolved))
            for tried in row.history
        ),
        resolved=row.resolved,
    )


def failure_row(failure_id: str | None) -> int:
    """The row number that a failure's id ends with; -1, which is before all, of None.

    Raises:
        ConfigError: it is no failure's id.
    """
    if failure_id is None:
        return -1
    number = failure_id.rpartition(":")[2]
    if not (number.isascii() and number.isdecimal() and len(number) <= _DIGITS):
        raise ConfigError(f"{failure_id!r:.80} is no failure of this store; take the id of one")
    return int(number)


def error_info(text: str | None) -> ErrorInfo | None:
    """The last error of a job."""
    return None if text is None else _decode_error(text)
