"""New jobs: dispatched ones, and the chunks that a bulk job brings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any

import msgspec

from aiojobs_engine.backends.sqlite.blobs import Blobs
from aiojobs_engine.backends.sqlite.codes import CODES
from aiojobs_engine.backends.sqlite.fairness import give_due_turns
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.backends.sqlite.lines import line_of
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope, decode_envelope, encode_envelope, is_same_job
from aiojobs_engine.core.events import JobCreated, event_of
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Enqueued

INLINE_BYTES = 2_000
_SLICE_JOBS = 1_000
_SLICE_BYTES = 16 * 1024 * 1024
_INT64 = 2**63
_NO_COUNTERS = Counters()
_NOBODY: Mapping[str, str] = MappingProxyType({})

_stored = msgspec.json.Decoder(list[tuple[str, bool, str]]).decode

Encoded = tuple[Envelope, bytes]


def encoded(envelopes: Sequence[Envelope]) -> list[Encoded]:
    """Each envelope with its stored form, encoded before any write."""
    return [(envelope, encode_envelope(envelope)) for envelope in envelopes]


def enqueue(
    tx: Transaction, jobs: Sequence[Encoded], kept_out: Mapping[str, str] = _NOBODY
) -> list[Enqueued]:
    """Store what is new, and say of the rest whether it is the same job.

    `kept_out` gives of those that must not be stored the ids of the jobs that keep them out.
    """
    first = (
        first_of_each(job for job in jobs if job[0].id not in kept_out) if kept_out else first_of_each(jobs)
    )
    there = add_jobs(tx, first, int(tx.value("last_job")))
    if not there and len(first) == len(jobs):  # most batches
        return [Enqueued(envelope.id, created=True) for envelope, _ in jobs]
    bodies = {envelope.id: envelope for envelope, _ in first}
    answers: list[Enqueued] = []
    for envelope, _ in jobs:
        if envelope.id in kept_out:
            answers.append(Enqueued(kept_out[envelope.id], created=False))
            continue
        known = there.get(envelope.id)
        if known is None:
            answers.append(Enqueued(envelope.id, created=True))
            there[envelope.id] = bodies[envelope.id]
        else:
            answers.append(Enqueued(envelope.id, created=False, conflict=not is_same_job(known, envelope)))
    return answers


def add_jobs(
    tx: Transaction,
    jobs: Sequence[Encoded],
    last: int,
    parent: int | None = None,
    *,
    reopened: bool = False,
    waiting: AbstractSet[str] = frozenset(),
) -> dict[str, Envelope]:
    """Store jobs of different ids with their `JobCreated`; those that were there already, by id.

    `last` is the number of the job that was accepted last before them; those in `waiting` wait for others.
    """
    there: dict[str, Envelope] = {}
    for part in _slices(jobs):
        there |= _add_slice(tx, part, last, parent, reopened=reopened, waiting=waiting)
    now = tx.now
    for envelope, _ in jobs:
        if there and envelope.id in there:
            continue
        status = Status.WAITING if envelope.id in waiting else first_status(tx, envelope)
        if status is Status.PENDING:
            tx.woke = True
        counters = Counters(0, 0, 0, envelope.total) if envelope.total else _NO_COUNTERS
        tx.events.append(event_of(JobCreated, envelope, status, counters, 0, now))
    return there


def add_chunks(ledger: Ledger, parent: JobRow, chunks: Sequence[Encoded], *, reopened: bool = False) -> int:
    """Store the chunks of a bulk job that are not there yet; the rows of those that were new."""
    tx = ledger.tx
    chosen = first_of_each(chunks)
    there = add_jobs(tx, chosen, int(tx.value("last_job")), parent.seq, reopened=reopened)
    added = [envelope.total for envelope, _ in chosen if envelope.id not in there]
    parent.chunks += len(added)
    parent.open_chunks += len(added)
    ledger.changed(parent)
    return sum(added)


def _add_slice(
    tx: Transaction,
    jobs: Sequence[Encoded],
    last: int,
    parent: int | None,
    *,
    reopened: bool,
    waiting: AbstractSet[str],
) -> dict[str, Envelope]:
    blobs, large = Blobs(), Blobs()
    rows: list[list[Any]] = []
    large_rows: list[tuple[Any, ...]] = []
    for envelope, body in jobs:
        inline = len(body) <= INLINE_BYTES
        if not inline:
            large_rows.append((envelope.id, *large.add(body)))
        place = blobs.add(body) if inline else (0, 0)
        status = Status.WAITING if envelope.id in waiting else first_status(tx, envelope)
        rows.append(_row(tx, envelope, status, place, parent, reopened=reopened))
    stored = tx.run("enqueue", rows=rows, bodies=blobs.joined())
    if large_rows:
        tx.run("add_bodies", rows=large_rows, bodies=large.joined(), last=last)
    if tags := [(envelope.id, envelope.tags) for envelope, _ in jobs if envelope.tags]:
        tx.run("add_tags", rows=tags, last=last)
    put_in_line(tx, [envelope for envelope, _ in jobs])
    if stored == len(jobs):
        return {}
    found = _stored(tx.value("stored", ids=[envelope.id for envelope, _ in jobs], last=last))
    return {job_id: decode_envelope(body) for job_id, is_new, body in found if not is_new}


def put_in_line(tx: Transaction, envelopes: Sequence[Envelope]) -> None:
    """Give fair jobs their turns, and let the lines of those under limits by key be looked at."""
    if lines := {line for envelope in envelopes if (line := line_of(envelope)) is not None}:
        tx.run("touch_lines", lines=sorted(lines))
        tx.lined = True
    if any(envelope.fair_key is not None for envelope in envelopes):
        give_due_turns(tx)


def _row(
    tx: Transaction,
    envelope: Envelope,
    status: Status,
    place: tuple[int, int],
    parent: int | None,
    *,
    reopened: bool,
) -> list[Any]:
    row: list[Any] = [
        envelope.id,
        tx.lanes.number(tx, envelope),
        CODES[status],
        envelope.priority,
        envelope.created_at,
        *place,
    ]
    scheduled, expires = envelope.scheduled_at, envelope.expires_at
    user_id, total, key = envelope.user_id, envelope.total, unique_key(envelope)
    is_short = user_id is None and parent is None and total == 0 and key is None and is_free(envelope)
    if not (scheduled is None and expires is None and is_short):
        due = envelope.created_at if scheduled is None else scheduled
        row.append([due, scheduled, expires, total, storable(user_id), parent, int(reopened), key])
        if not is_free(envelope):
            row[-1] += [envelope.cost, line_of(envelope), fair_share(envelope)]
    return row


def is_free(envelope: Envelope) -> bool:
    """Whether nothing of its own limits or orders the job."""
    return envelope.limit_key is None and envelope.fair_key is None and envelope.cost == 1


def fair_share(envelope: Envelope) -> str | None:
    """The column of a job that is to have a fair turn."""
    if envelope.fair_key is None:
        return None
    return msgspec.json.encode((envelope.fair_key, envelope.fair_weight)).decode()


def unique_key(envelope: Envelope) -> str | None:
    """The column of a unique job; no queue has a slash in its name."""
    return None if envelope.unique is None else f"{envelope.queue}/{envelope.unique.key}"


def add_aside(tx: Transaction, envelope: Envelope, body: bytes, seq: int) -> bytes | None:
    """Store what of the job `seq` stands in other tables; its body, when that stands in its row."""
    if envelope.tags:
        tx.run("add_tags", rows=[(envelope.id, envelope.tags)], last=seq - 1)
    if len(body) <= INLINE_BYTES:
        return body
    tx.run("add_bodies", rows=[(envelope.id, 1, len(body))], bodies=body, last=seq - 1)
    return None


def first_status(tx: Transaction, envelope: Envelope) -> Status:
    """Whether a job that is stored now is due."""
    is_due = envelope.scheduled_at is None or envelope.scheduled_at <= tx.now
    return Status.PENDING if is_due else Status.SCHEDULED


def storable(user_id: int | str | None) -> int | str | None:
    """The owner as a column takes it."""
    if isinstance(user_id, int) and not -_INT64 <= user_id < _INT64:
        return str(user_id)
    return user_id


def first_of_each(jobs: Iterable[Encoded]) -> list[Encoded]:
    """The jobs without those whose id stands earlier."""
    first: dict[str, Encoded] = {}
    for job in jobs:
        first.setdefault(job[0].id, job)
    return list(first.values())


def _slices(jobs: Sequence[Encoded]) -> Iterator[Sequence[Encoded]]:
    """Parts of at most so many jobs and bytes, so that no statement's parameters grow without bound."""
    start = size = 0
    for index, (_, body) in enumerate(jobs):
        if index > start and (index - start >= _SLICE_JOBS or size + len(body) > _SLICE_BYTES):
            yield jobs[start:index]
            start, size = index, 0
        size += len(body)
    if start < len(jobs):
        yield jobs[start:]
