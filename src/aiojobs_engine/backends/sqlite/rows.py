"""From what the store keeps to what people see."""

from typing import Any

import msgspec

from aiojobs_engine.backends.sqlite.codes import STATUSES
from aiojobs_engine.core.envelope import decode_envelope
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.status import Counters, ErrorInfo, FailureAttempt, JobFailure, JobStatus, RowFault
from aiojobs_engine.core.views import Standing, failure_view, job_view
from aiojobs_engine.ports.backend import Result


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
    standing = Standing(
        status=STATUSES[job.code],
        counters=Counters(job.succeeded, job.failed, job.skipped, job.total),
        attempts=job.attempts,
        crashes=job.crashes,
        epoch=job.epoch,
        scheduled_at=_instant(job.scheduled_at),
        started_at=_instant(job.started_at),
        finished_at=_instant(job.finished_at),
        worker=job.worker,
        message=job.message,
        error=error_info(job.error),
        result=job.result,
    )
    return job_view(decode_envelope(job.body), standing, now)


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
    fault = RowFault(row.row_number, row.row_key, row.payload, row.field, row.message)
    history = [
        FailureAttempt(moment(tried.at), tried.message, tried.field, bool(tried.resolved))
        for tried in row.history
    ]
    return failure_view(job_id, fault, history, resolved=row.resolved)


def error_info(text: str | None) -> ErrorInfo | None:
    """The last error of a job."""
    return None if text is None else _decode_error(text)


def _instant(value: int | None) -> Instant | None:
    return None if value is None else Instant(value)
