"""What follows an outcome: the only place that counts attempts, asks policies and picks the next status.

Pure: it reads no clock and writes nothing; the finalizer writes what it answers.
"""

from random import Random
from typing import assert_never

import msgspec

from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.events import (
    JobCancelled,
    JobCompleted,
    JobDiscarded,
    JobEvent,
    JobFailed,
    JobInterrupted,
    JobProgressed,
    JobRetrying,
    event_of,
)
from aiojobs_engine.core.instant import Instant, instant, later
from aiojobs_engine.core.limits import shortened
from aiojobs_engine.core.masking import Masker
from aiojobs_engine.core.outcome import (
    Cancelled,
    Discarded,
    Failed,
    Interrupted,
    Outcome,
    Paused,
    RowsDone,
    RowsKept,
    Snoozed,
    Spawned,
    Succeeded,
    WorkerLost,
)
from aiojobs_engine.core.retry import GiveUp, Requeue, Retry, clamped
from aiojobs_engine.core.state import Status, parent_status
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.backend import Settlement
from aiojobs_engine.runtime.executor import DeadlineExceeded
from aiojobs_engine.runtime.registry import RowsLost
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.runtime.tracebacks import traceback_of


class Decider:
    """Makes settlements: counts the attempt, asks the policy, picks the next status and its event."""

    def __init__(self, rng: Random, result_bytes: int, masker: Masker) -> None:
        """Take jitter from `rng`; refuse results over `result_bytes`; mask what errors and reasons tell."""
        self._rng = rng
        self._result_bytes = result_bytes
        self._masker = masker

    def decide(self, run: Run, outcome: Outcome, now: Instant) -> Settlement:  # noqa: C901, PLR0911 - one case per outcome
        """What is written at the end of `run`; `now` in ms since the epoch."""
        match outcome:
            case Succeeded(result=result):
                return self._succeeded(run, result, now)
            case Failed():
                return self._failed(run, outcome, now)
            case RowsDone():
                return self._rows_done(run, outcome, now)
            case Spawned(result=result):
                counters = run.claim.counters if run.context is None else run.context.final_counters
                waiting = _counted(run, Status.WAITING, JobProgressed, now, counters)
                return msgspec.structs.replace(waiting, result=self._told(run, result))
            case Snoozed(seconds=seconds):
                return _later(run, Status.SCHEDULED, now, seconds, None)
            case Discarded(reason=reason):
                error = ErrorInfo("Discard", shortened(self._masker.text(reason)))
                return _counted(
                    run, Status.DISCARDED, JobDiscarded, now, _seen(run), error.message, error=error
                )
            case Cancelled(kept=kept):
                return self._stopped(run, Status.CANCELLED, JobCancelled, now, kept)
            case Paused(kept=kept):
                # rows go back, and the store pauses them in that write unless they were resumed meanwhile
                status = Status.PENDING if run.claim.envelope.kind == "import" else Status.PAUSED
                return self._stopped(run, status, JobInterrupted, now, kept)
            case Interrupted(kept=kept):
                return self._stopped(run, Status.PENDING, JobInterrupted, now, kept)
            case WorkerLost(detail=detail):
                return _crashed(run, shortened(self._masker.text(detail)), now)
            case _:
                assert_never(outcome)

    def _succeeded(self, run: Run, result: object, now: Instant) -> Settlement:
        encoded: bytes | None = None
        until: Instant | None = None
        error: ErrorInfo | None = None
        if result is not None:
            if not run.job_type.keeps_result:
                ttl = run.claim.envelope.result_ttl
                until = later(now, run.options.result_ttl if ttl is None else ttl)
            try:
                encoded = run.job_type.results.encode(result, self._result_bytes)
            except PayloadError as unfit:
                error = ErrorInfo("result_error", shortened(self._masker.text(str(unfit))))
        claim = run.claim
        counters = _seen(run)
        return Settlement(
            lease=claim.lease,
            status=Status.COMPLETED,
            attempts=claim.attempts + 1,
            crashes=claim.crashes,
            event=_event(JobCompleted, run, Status.COMPLETED, counters, now),
            parent_id=claim.envelope.parent_id,
            result=encoded,
            result_until=until,
            error=error,
            counters=counters,
            message=run.context.message if run.context else None,
            cursor=None if claim.cursor is None else b"",
        )

    def _failed(self, run: Run, outcome: Failed, now: Instant) -> Settlement:
        claim = run.claim
        error = error_info(outcome.error, self._masker)
        failures = claim.attempts + 1 - claim.crashes
        if outcome.permanent is not None:
            decision: Requeue | GiveUp = GiveUp(outcome.permanent)
        else:
            spec, own = claim.envelope.retry, run.options.retry
            policy = own if spec is None else Retry(spec, on=own.on, never_on=own.never_on)
            decision = policy.decide(failures, outcome.error, self._rng)
        if isinstance(decision, Requeue):
            delay = decision.delay if outcome.delay is None else outcome.delay
            if outcome.not_before is not None:
                delay = clamped(max(0.0, (instant(outcome.not_before) - now) / 1000))
            return _later(run, Status.RETRYING, now, delay, error)
        salvage = run.job_type.salvage_cursor(claim)
        if salvage is not None:
            last = _later(run, Status.RETRYING, now, 0.0, error)
            return msgspec.structs.replace(last, cursor=salvage, counters=claim.counters)
        return _dead(run, ErrorInfo(error.type, error.message, error.traceback, decision.reason), now)

    def internal_failure(self, run: Run, error: Exception, now: Instant) -> Settlement:
        """The end of a run whose outcome itself could not be told, so that it can't come back for ever."""
        told = error_info(error, self._masker)
        return _dead(run, msgspec.structs.replace(told, reason="internal_error"), now)

    def with_lost_rows(self, run: Run, settlement: Settlement, lost: RowsLost) -> Settlement:
        """The settlement of a bulk run that failed as a whole, with the rows that went down with it."""
        error = settlement.error or ErrorInfo("unknown", "")
        at, reason = settlement.event.at, error.reason or ""
        return msgspec.structs.replace(
            settlement,
            counters=lost.counters,
            faults=self._masked(lost.faults),
            resolved=lost.resolved,
            event=_event(JobFailed, run, Status.FAILED, lost.counters, at, error.message, reason),
        )

    def _rows_done(self, run: Run, outcome: RowsDone, now: Instant) -> Settlement:
        claim = run.claim
        before = outcome.before
        succeeded, failed = before.succeeded + outcome.succeeded, before.failed + len(outcome.faults)
        total = max(claim.envelope.total, claim.counters.total, succeeded + failed)
        counters = Counters(succeeded, failed, before.skipped + outcome.skipped, total)
        if claim.envelope.parent_id is None:
            status = parent_status(succeeded, failed)
        else:
            status = Status.PARTIAL if failed else Status.COMPLETED
        if status is Status.FAILED:
            error = ErrorInfo("rows", f"all {failed:,} rows failed", reason="rows")
            settlement = _counted(run, status, JobFailed, now, counters, error.message, "rows", error=error)
        else:
            settlement = _counted(run, status, JobCompleted, now, counters)
        return msgspec.structs.replace(
            settlement,
            faults=self._masked(outcome.faults),
            resolved=outcome.resolved,
            cursor=b"",
            result=self._told(run, outcome.result),
        )

    def _stopped(
        self, run: Run, status: Status, kind: type[JobEvent], now: Instant, kept: RowsKept | None
    ) -> Settlement:
        """A run that was told to end, with the rows that it has done."""
        settlement = _uncounted(run, status, kind, now)
        if kept is not None:
            return msgspec.structs.replace(
                settlement,
                event=_event(kind, run, status, kept.counters, now),
                counters=kept.counters,
                faults=self._masked(kept.faults),
                cursor=kept.cursor,
            )
        # what a chunk only told counts nothing
        return (
            msgspec.structs.replace(settlement, counters=run.claim.counters) if _is_chunk(run) else settlement
        )

    def _told(self, run: Run, result: object) -> bytes | None:
        """What a bulk job tells of itself, for as long as it is stored."""
        return run.job_type.results.encode(result, self._result_bytes)

    def _masked(self, faults: tuple[RowFault, ...]) -> tuple[RowFault, ...]:
        """The same faults; what is said about a row may be shown, what stands in it is run again."""
        return tuple(
            msgspec.structs.replace(fault, message=self._masker.text(fault.message)) for fault in faults
        )


def error_info(error: BaseException, masker: Masker) -> ErrorInfo:
    """An exception as stored text, masked; also for those whose own `__str__` raises."""
    kind = "timeout" if isinstance(error, DeadlineExceeded) else _qualified(type(error))
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - a broken __str__ must not lose the job, nor end the finalizer
        message = "<its message can't be shown>"
    try:
        lines = traceback_of(error)
    except Exception:  # noqa: BLE001 - the same
        lines = ""
    return ErrorInfo(kind, shortened(masker.text(message)), shortened(masker.text(lines)))


def _qualified(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_chunk(run: Run) -> bool:
    envelope = run.claim.envelope
    return envelope.kind == "import" and envelope.parent_id is not None


def _seen(run: Run) -> Counters | None:
    return None if run.context is None else run.context.final_counters


def _event(
    kind: type[JobEvent], run: Run, status: Status, counters: Counters | None, now: Instant, *own: object
) -> JobEvent:
    claim = run.claim
    return event_of(kind, claim.envelope, status, counters or claim.counters, claim.attempts + 1, now, *own)


def _counted(
    run: Run,
    status: Status,
    kind: type[JobEvent],
    now: Instant,
    counters: Counters | None,
    *own: object,
    error: ErrorInfo | None = None,
    crashes: int = 0,
) -> Settlement:
    claim = run.claim
    return Settlement(
        lease=claim.lease,
        status=status,
        attempts=claim.attempts + 1,
        crashes=claim.crashes + crashes,
        event=_event(kind, run, status, counters, now, *own),
        parent_id=claim.envelope.parent_id,
        error=error,
        counters=counters,
        message=run.context.message if run.context else None,
    )


def _uncounted(run: Run, status: Status, kind: type[JobEvent], now: Instant) -> Settlement:
    claim = run.claim
    return Settlement(
        lease=claim.lease,
        status=status,
        attempts=claim.attempts,
        crashes=claim.crashes,
        event=_event(kind, run, status, None, now),
        parent_id=claim.envelope.parent_id,
    )


def _later(
    run: Run,
    status: Status,
    now: Instant,
    delay: float,
    error: ErrorInfo | None,
) -> Settlement:
    claim = run.claim
    due_at = later(now, delay)
    counted = 0 if error is None else 1
    return Settlement(
        lease=claim.lease,
        status=status,
        attempts=claim.attempts + counted,
        crashes=claim.crashes,
        event=_event(JobRetrying, run, status, None, now, error.message if error else "", due_at),
        parent_id=claim.envelope.parent_id,
        due_at=due_at,
        error=error,
    )


def _dead(run: Run, error: ErrorInfo, now: Instant, *, crashes: int = 0) -> Settlement:
    reason = error.reason or ""
    return _counted(
        run, Status.FAILED, JobFailed, now, _seen(run), error.message, reason, error=error, crashes=crashes
    )


def _crashed(run: Run, detail: str, now: Instant) -> Settlement:
    claim = run.claim
    if claim.cancelling:
        return _uncounted(run, Status.CANCELLED, JobCancelled, now)
    if not claim.has_started:
        return _uncounted(run, Status.PENDING, JobInterrupted, now)
    most = claim.envelope.max_crashes or run.options.max_crashes
    message = detail or f"the worker {claim.lost_worker or 'that ran it'} died or stood still"
    if claim.crashes + 1 >= most:
        return _dead(run, ErrorInfo("worker_lost", message, reason="crashed_worker"), now, crashes=1)
    error = ErrorInfo("worker_lost", message)
    return _counted(run, Status.PENDING, JobRetrying, now, None, message, now, error=error, crashes=1)
