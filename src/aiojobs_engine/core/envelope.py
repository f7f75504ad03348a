"""The transport snapshot of a job: what stores keep word for word and hand out to workers."""

from typing import Any

import msgspec

from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import BATCH, Need
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.core.status import UserId
from aiojobs_engine.core.uniqueness import UniqueKey

VERSION = 1


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A job on its way.

    Attributes:
        v: the version of this form. A worker claims only versions it knows; newer ones stay queued.
        payload: the encoded arguments, a JSON object.
        created_at, scheduled_at, expires_at: ms since the epoch, by the dispatcher's clock. A job without
            `scheduled_at` is due at once; one not started by `expires_at` never starts.
        retry, timeout, result_ttl, max_crashes: set at the call; None leaves it to the worker's
            registration. Seconds; a timeout of 0 means none.
        parent_id: the bulk job that this chunk belongs to, or the batch of this member.
        total: rows of a chunk, 0 for other jobs.
        headers: trace context.
        needs: jobs that have to end before this one starts; it waits for them as `waiting`.
        unique: of a unique job, its key and rule.
        limit_key: whose limits by key the job is under, those of its type in its queue.
        cost: how much the job takes from rates, at least 1.
        fair_key, fair_weight: of a job in a fair queue, for whom it runs, and that one's weight, above 0.
    """

    id: str
    type: str
    payload: msgspec.Raw
    created_at: Instant
    v: int = VERSION
    kind: str = "job"
    queue: str = "default"
    priority: int = 0
    scheduled_at: Instant | None = None
    expires_at: Instant | None = None
    user_id: UserId | None = None
    parent_id: str | None = None
    strategy: str = "single"
    total: int = 0
    retry: RetrySpec | None = None
    timeout: float | None = None
    result_ttl: float | None = None
    max_crashes: int | None = None
    tags: tuple[str, ...] = ()
    meta: dict[str, Any] = {}
    headers: dict[str, str] = {}
    needs: tuple[Need, ...] = ()
    unique: UniqueKey | None = None
    limit_key: str | None = None
    cost: int = 1
    fair_key: str | None = None
    fair_weight: float = 1.0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def encode_envelope(envelope: Envelope) -> bytes:
    """The stored form, JSON in UTF-8; the payload stands in it untouched.

    Raises:
        PayloadError: `meta` holds something that JSON can't.
    """
    try:
        return _encoder.encode(envelope)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadError(f"meta, tags and headers must be plain JSON data: {error}") from error


def decode_envelope(body: bytes | str) -> Envelope:
    """The envelope of a stored body; unknown fields of a later release are left out.

    Raises:
        PayloadError: the body is no envelope.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"the stored envelope can't be read: {error}") from error


def is_same_job(first: Envelope, second: Envelope) -> bool:
    """Whether a repeated dispatch brings the same job: type, queue and payload are equal.

    The payload of a unique job that others may replace tells nothing: one of them may have done so.
    """
    if (first.type, first.queue) != (second.type, second.queue):
        return False
    if first.unique is not None and first.unique.replaces and first.unique == second.unique:
        return True
    return bytes(first.payload) == bytes(second.payload)


def is_linked(envelope: Envelope) -> bool:
    """Whether a dispatched job is bound to others: a batch, a member of one, or one that waits for others."""
    return bool(envelope.needs) or envelope.parent_id is not None or envelope.kind == BATCH
