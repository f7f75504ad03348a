"""Between the package's records and what scripts take and give."""

from collections.abc import Sequence
from struct import Struct

import msgspec

from aiojobs_engine.backends.redis.keys import CODES, HEAD, STATUSES
from aiojobs_engine.core.envelope import Envelope, decode_envelope
from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import (
    Counters,
    ErrorInfo,
    FailureAttempt,
    JobFailure,
    JobStatus,
    RowFault,
)
from aiojobs_engine.core.views import Standing, failure_view, job_view
from aiojobs_engine.ports.backend import Result

_LENGTHS = Struct("<HHH")
_FINAL_CODES = frozenset(CODES[status] for status in FINAL)

pack = msgspec.msgpack.Encoder().encode
encode = msgspec.json.Encoder().encode
decode_error = msgspec.json.Decoder(ErrorInfo).decode


class Rest(msgspec.Struct, gc=False):
    """What few jobs have.

    Attributes:
        due: `scheduled_at`, of the envelope or of the last settlement.
        free: a retry by hand has freed the job of `expires_at`.
        counters, kept: succeeded, failed, skipped (and total); now, and at the last checkpoint.
        error: as JSON.
        ends: until when the result is kept.
        parent: the place of a chunk's bulk job; `reopened` when it came by `reopen`.
        chunks, open: of a bulk job, how many there are, and how many have not ended.
        told: when the progress of a bulk job was told last.
        unique: the digest of a unique job's queue and key.
        batch, member, left: it is a batch, it is a member of one, it was one.
        needs: how many jobs it waits for; `waited` when others wait for it.
        line: the digest of its queue, type and key of limits; `cost` is what it takes from rates.
        fair: for whom it runs, that one's weight, and the queue; `turn` is its turn.
    """

    due: int | None = None
    epoch: int = 0
    free: bool = False
    cancelling: bool = False
    pausing: bool = False
    counters: tuple[int, int, int, int] | None = None
    kept: tuple[int, int, int] | None = None
    cursor: str | None = None
    message: str | None = None
    error: str | None = None
    ends: int | None = None
    parent: str | None = None
    reopened: bool = False
    chunks: int = 0
    open: int = 0
    told: int | None = None
    unique: str | None = None
    batch: bool = False
    member: bool = False
    left: bool = False
    needs: int = 0
    waited: bool = False
    line: str | None = None
    cost: int = 1
    fair: tuple[str, float, str] | None = None
    turn: int | None = None


class State(msgspec.Struct, array_like=True, gc=False):
    """A job's state; see `keys.py`."""

    code: int
    token: int
    attempts: int
    crashes: int
    started: int | bool
    finished: int | bool
    worker: str | bool
    lane: str
    rest: Rest | bool
    result: str | bool
    ahead: bool = False

    @property
    def extra(self) -> Rest:
        """The rest, also when there is none."""
        return self.rest if isinstance(self.rest, Rest) else _NO_REST


class Fault(msgspec.Struct, array_like=True, gc=False):
    """A failed row; the first is the JSON of what `RowFault` says."""

    told: str
    history: list[tuple[int, str, str | bool, bool]]
    resolved: bool


_NO_REST = Rest()
_NEW = State(
    CODES[Status.PENDING],
    0,
    0,
    0,
    started=False,
    finished=False,
    worker=False,
    lane="",
    rest=False,
    result=False,
)
_envelopes = msgspec.json.Decoder(list[Envelope]).decode
_state = msgspec.msgpack.Decoder(State).decode
_fault = msgspec.msgpack.Decoder(Fault).decode
_row = msgspec.json.Decoder(RowFault).decode


def envelope_part(body: bytes) -> bytes:
    """The encoded envelope of a body."""
    return body[HEAD.size + sum(_LENGTHS.unpack_from(body)) :]


def envelope_of(body: bytes) -> Envelope:
    """The envelope of a body.

    Raises:
        PayloadError: it can't be read.
    """
    return decode_envelope(envelope_part(body))


def decode_envelopes(parts: Sequence[bytes]) -> list[Envelope]:
    """Many envelopes at once.

    Raises:
        PayloadError: one can't be read.
    """
    try:
        return _envelopes(b"[%b]" % b",".join(parts))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"a stored envelope can't be read: {error}") from error


def state_of(state: bytes | None) -> State:
    """A job's state; one that never changed has none stored."""
    return _state(state) if state else _NEW


def counters_of(state: State, envelope: Envelope) -> Counters:
    """The job's own counters."""
    counters = state.extra.counters
    return Counters(total=envelope.total) if counters is None else Counters(*counters)


def counters_of_run(state: State, envelope: Envelope) -> Counters:
    """What a new run starts with."""
    rest, present = state.extra, counters_of(state, envelope)
    if rest.chunks:
        return present
    succeeded, failed, skipped = rest.kept or (0, 0, 0)
    return Counters(succeeded, failed, skipped, max(present.total, succeeded + failed))


def encoded_fault(fault: RowFault) -> tuple[int, str, str, str | bool]:
    """A failed row as scripts take it."""
    return (
        fault.row_number,
        encode(fault).decode(),
        fault.message,
        False if fault.field is None else fault.field,
    )


def encoded_counters(counters: Counters) -> tuple[int, int, int, int]:
    """Counters as scripts take them."""
    return counters.succeeded, counters.failed, counters.skipped, counters.total


def job_status(body: bytes, stored: bytes | None, now: Instant) -> JobStatus:
    """What people see of a job."""
    envelope = envelope_of(body)
    state = state_of(stored)
    rest, counters, status = state.extra, counters_of(state, envelope), STATUSES[state.code]
    result = state.result if isinstance(state.result, str) and not _is_over(rest, now) else None
    standing = Standing(
        status=status,
        counters=counters,
        attempts=state.attempts,
        crashes=state.crashes,
        epoch=rest.epoch,
        scheduled_at=envelope.scheduled_at if rest.due is None else Instant(rest.due),
        started_at=_instant(state.started),
        finished_at=_instant(state.finished),
        worker=state.worker if isinstance(state.worker, str) else None,
        message=rest.message,
        error=None if rest.error is None else decode_error(rest.error),
        result=result,
    )
    return job_view(envelope, standing, now)


def job_result(body: bytes, stored: bytes | None, now: Instant) -> Result:
    """What `handle.result()` needs."""
    envelope = envelope_of(body)
    state = state_of(stored)
    is_over = _is_over(state.extra, now)
    return Result(
        status=STATUSES[state.code],
        type=envelope.type,
        result=state.result.encode() if isinstance(state.result, str) and not is_over else None,
        expired=is_over,
        error=None if state.extra.error is None else decode_error(state.extra.error),
    )


def job_failure(job_id: str, stored: bytes) -> JobFailure:
    """The public view of a row that failed."""
    fault = _fault(stored)
    history = [
        FailureAttempt(moment(at), message, None if isinstance(field, bool) else field, resolved)
        for at, message, field, resolved in fault.history
    ]
    return failure_view(job_id, _row(fault.told), history, resolved=fault.resolved)


def _instant(value: int | bool) -> Instant | None:  # noqa: FBT001 - False stands for none
    return None if isinstance(value, bool) else Instant(value)


def _is_over(rest: Rest, now: Instant) -> bool:
    return rest.ends is not None and rest.ends <= now
