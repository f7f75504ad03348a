"""New jobs as `enqueue.lua` takes them: those that ask for nothing special together, others one by one."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from aiojobs_engine.backends.redis.keys import CODES, HEAD, Lane, lane_name
from aiojobs_engine.backends.redis.rows import encode
from aiojobs_engine.core.envelope import Envelope, encode_envelope, is_linked
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import BATCH
from aiojobs_engine.core.uniqueness import UniqueKey

_NEVER = -1.0
_KEY_BYTES = 16
_LANES_KNOWN = 10_000


class Lanes:
    """What envelopes of one kind have in common in their heads, worked out once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[tuple[str, str, str, int], tuple[bytes, str, bytes]] = {}

    def of(self, envelope: Envelope) -> tuple[bytes, str, bytes]:
        """The lane, its JSON, and the end of the identity after the id."""
        key = (envelope.queue, envelope.type, envelope.kind, envelope.v)
        known = self._known.get(key)
        if known is None:
            lane = Lane(envelope.queue, envelope.type, envelope.v)
            ident = b"," + encode((envelope.type, envelope.kind, envelope.queue))[1:-1]
            if len(self._known) >= _LANES_KNOWN:
                self._known.clear()
            known = self._known[key] = (lane_name(lane), encode(lane).decode(), ident)
        return known


def encoded_jobs(envelopes: Iterable[Envelope], lanes: Lanes, bodies: list[bytes]) -> list[tuple[Any, ...]]:
    """The request, in the order of the envelopes; their bodies join `bodies`.

    Raises:
        PayloadError: `meta` holds something that JSON can't.
    """
    request: list[tuple[Any, ...]] = []
    alike: list[str] = []
    shared: tuple[bytes, str, bytes] | None = None
    for envelope in envelopes:
        own = lanes.of(envelope)
        ident = _plain_ident(envelope, own[2])
        if ident is None:
            request.append((*encoded_job(envelope, lanes, bodies), encoded_links(envelope)))
            shared = None
            continue
        head = HEAD.pack(len(ident), 4, 4, 0, own[0], 0, _NEVER, envelope.created_at, 0)
        bodies.append(b"".join((head, ident, b"nullnull", encode_envelope(envelope))))
        if own is not shared:
            alike, shared = [], own
            request.append((len(bodies), alike, own[1], own[2].decode()))
        alike.append(envelope.id)
    return request


def _plain_ident(envelope: Envelope, kind: bytes) -> bytes | None:
    """The identity of a job that asks for nothing special and whose id is in JSON what it is; else None."""
    if (
        envelope.scheduled_at is not None
        or envelope.unique is not None
        or envelope.parent_id is not None
        or envelope.needs
        or envelope.kind == BATCH
        or envelope.limit_key is not None
        or envelope.fair_key is not None
        or envelope.cost != 1
        or envelope.priority
        or envelope.total
        or envelope.expires_at is not None
        or envelope.user_id is not None
    ):
        return None
    name = encode(envelope.id)
    return name + kind if len(name) == len(envelope.id) + 2 else None


def encoded_job(envelope: Envelope, lanes: Lanes, bodies: list[bytes]) -> tuple[Any, ...]:
    """What `enqueue.lua` takes for a job, whose body joins `bodies`.

    Raises:
        PayloadError: `meta` holds something that JSON can't.
    """
    lane, lane_json, kind = lanes.of(envelope)
    ident = encode(envelope.id) + kind
    user = b"null" if envelope.user_id is None else encode(envelope.user_id)
    parent = b"null" if envelope.parent_id is None else encode(envelope.parent_id)
    expires = _NEVER if envelope.expires_at is None else envelope.expires_at
    has_more = (
        envelope.priority
        or envelope.total
        or envelope.expires_at is not None
        or envelope.user_id is not None
        or envelope.parent_id is not None
    )
    head = HEAD.pack(
        len(ident),
        len(user),
        len(parent),
        1 if has_more else 0,
        lane,
        envelope.priority,
        expires,
        envelope.created_at,
        envelope.total,
    )
    due = False if envelope.scheduled_at is None else envelope.scheduled_at
    bodies.append(b"".join((head, ident, user, parent, encode_envelope(envelope))))
    number = len(bodies)
    rule = envelope.unique
    unique = rule is not None and _encoded_rule(envelope, rule, bodies)
    return envelope.id, number, due, lane_json, unique, encoded_flow(envelope)


def encoded_flow(envelope: Envelope) -> tuple[Any, ...] | bool:
    """What scripts take for the limits and turns of a job, False when it has none of its own."""
    if envelope.limit_key is None and envelope.fair_key is None and envelope.cost == 1:
        return False
    line: str | bool = False
    if envelope.limit_key is not None:
        named = encode((envelope.queue, envelope.type, envelope.limit_key))
        line = blake2b(named, digest_size=_KEY_BYTES).hexdigest()
    return (
        line,
        envelope.queue,
        envelope.type,
        envelope.cost,
        False if envelope.fair_key is None else envelope.fair_key,
        envelope.fair_weight,
    )


def encoded_links(envelope: Envelope) -> tuple[Any, ...] | bool:
    """What `enqueue.lua` takes for what binds a job to others, False when nothing does."""
    if not is_linked(envelope):
        return False
    needs = [(need.job_id, need.when.value) for need in envelope.needs]
    return envelope.kind == BATCH, envelope.parent_id or False, needs


def _encoded_rule(envelope: Envelope, rule: UniqueKey, bodies: list[bytes]) -> tuple[Any, ...]:
    """What `enqueue.lua` takes for the rule of a unique job."""
    key = blake2b(encode((envelope.queue, rule.key)), digest_size=_KEY_BYTES)
    if rule.replaces:
        bodies += _halves(envelope)
    return (
        key.hexdigest(),
        {str(CODES[status]): True for status in rule.states},
        False if rule.window is None else rule.window,
        rule.replaces,
        False if rule.max_wait is None else rule.max_wait,
        len(bodies) - 1,
        len(bodies),
    )


def _halves(envelope: Envelope) -> tuple[bytes, bytes]:
    """An encoded envelope after its id and up to the time of its dispatch, and what follows that time."""
    blank = encode_envelope(
        msgspec.structs.replace(envelope, id="", created_at=Instant(0), scheduled_at=None)
    )
    start = len(b'{"id":""')
    end = blank.index(b',"payload":', start) + len(b',"payload":') + len(envelope.payload)
    end += len(b',"created_at":')
    return blank[start:end], blank[end + 1 :]
