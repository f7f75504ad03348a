"""What a person sees of a job: its status, its failed rows, its last error."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from aiojobs_engine.core.state import Status

UserId = int | str


class Counters(msgspec.Struct, frozen=True, gc=False):
    """Rows of a job. `processed` is always `succeeded + failed`, so it is never stored."""

    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    total: int = 0

    @property
    def processed(self) -> int:
        """How many rows are through, well or badly."""
        return self.succeeded + self.failed


NO_COUNTERS = Counters()


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last error of a job as text, cut to 16,384 characters.

    Attributes:
        type: the qualified class name, or the engine's own word (`timeout`, `worker_lost`).
        reason: why no further attempt follows, on a job that failed: `max_attempts`, `not_retryable`,
            `crashed_worker`, `no_handler`, `payload`, `rows`, `max_failures`, `source_changed`,
            `retry_policy`.
        trace: the `traceparent` of the span of the run that failed, None without one.
    """

    type: str
    message: str
    traceback: str = ""
    reason: str | None = None
    trace: str | None = None


class RowFault(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row that a run could not use.

    Attributes:
        row_number: the line of the source, 1 for the first row after the header.
        row_key: the value of the importer's key, None without one.
        payload: the row as a mapping of columns to what stood there.
    """

    row_number: int
    row_key: str | None
    payload: dict[str, Any]
    field: str | None
    message: str


class FailureAttempt(msgspec.Struct, frozen=True):
    """One past try of a failed row."""

    at: datetime
    message: str
    field: str | None = None
    resolved: bool = False


class JobFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a bulk job that failed, and what was tried since; `id` is opaque and ordered by row number."""

    id: str
    job_id: str
    row_number: int
    row_key: str | None
    payload: dict[str, Any]
    field: str | None
    message: str
    attempts: int
    history: tuple[FailureAttempt, ...]
    resolved: bool


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands at one read; `processed == succeeded + failed` and `processed <= total`.

    Attributes:
        worker: the id of the worker that holds the lease, None when nobody does.
        eta_seconds: what is left at the rate since the start, None before anything is known.
        result: plain JSON data; `handle.result()` gives the handler's own types back.
    """

    id: str
    type: str
    kind: str
    status: Status
    queue: str
    processed: int
    total: int
    succeeded: int
    failed: int
    skipped: int
    attempts: int
    crashes: int
    epoch: int
    user_id: UserId | None
    strategy: str
    priority: int
    parent_id: str | None
    message: str | None
    error: ErrorInfo | None
    result: Any
    meta: Mapping[str, Any]
    tags: tuple[str, ...]
    created_at: datetime
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    eta_seconds: float | None


def eta_seconds(counters: Counters, *, running_seconds: float | None) -> float | None:
    """Seconds left at the average rate of the run so far; None while nothing is processed or nothing runs."""
    if running_seconds is None or running_seconds <= 0 or not counters.processed:
        return None
    return round((counters.total - counters.processed) * running_seconds / counters.processed, 3)
