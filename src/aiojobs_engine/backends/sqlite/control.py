"""The SQLite store: what people and programs do to jobs, queues, workers and types."""

from collections.abc import Callable, Sequence

import msgspec

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.enqueue import Encoded, add_chunks, encoded
from aiojobs_engine.backends.sqlite.flows import abandon, finish
from aiojobs_engine.backends.sqlite.ledger import JobRow, Ledger
from aiojobs_engine.backends.sqlite.moves import cancel, pause, resume, retry
from aiojobs_engine.backends.sqlite.removal import prune, remove, remove_family, with_running_chunks
from aiojobs_engine.backends.sqlite.revival import rejoin, revive
from aiojobs_engine.backends.sqlite.rows import decode_bodies
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope, decode_envelope
from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.state import FINAL, TRANSITIONS, Status, Trigger
from aiojobs_engine.ports.backend import Cancelled, Keep, TypeRecord, WorkerRecord

_WORKER_SILENCE_MS = 60_000

_encode = msgspec.json.Encoder().encode


class SqliteControl(Part):
    """`Control` of the SQLite store; what each verb means stands in the port."""

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel queued jobs at once; flag running ones."""
        self._writing()
        if not ids:
            return []
        return await self._write(lambda tx: _cancel(tx, ids), len(ids))

    async def pause(self, ids: Sequence[str]) -> list[bool]:
        """Park queued jobs, flag running ones."""
        return await self._each(ids, pause)

    async def resume(self, ids: Sequence[str]) -> list[bool]:
        """Make paused jobs pending again."""
        return await self._each(ids, resume)

    async def retry(self, ids: Sequence[str]) -> list[bool]:
        """Start final jobs anew, in a new epoch."""
        self._writing()
        if not ids:
            return []
        return await self._write(lambda tx: _retry(tx, ids), len(ids))

    async def reopen(self, parent_id: str, children: Sequence[Envelope]) -> bool:
        """Give an ended bulk job chunks for its unresolved rows."""
        self._writing()
        chunks = encoded(children)
        return await self._write(lambda tx: _reopen(tx, parent_id, chunks), len(chunks))

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that nobody runs."""
        self._writing()
        if not ids:
            return []
        return await self._write(lambda tx: _delete(tx, ids), len(ids))

    async def prune(self, keeps: Sequence[Keep], limit: int) -> list[str]:
        """Remove old final jobs, and results past their time."""
        return await self._write(lambda tx: prune(tx, keeps, limit), limit)

    async def pause_queue(self, name: str) -> None:
        """Let no more jobs of the queue be claimed."""
        await self._write(lambda tx: _set_queue(tx, name, is_paused=True))

    async def resume_queue(self, name: str) -> None:
        """Let them be claimed again."""
        await self._write(lambda tx: _set_queue(tx, name, is_paused=False))

    async def beat(self, worker: WorkerRecord) -> None:
        """Announce a worker, and forget those that have been silent for a minute."""
        await self._write(lambda tx: _beat(tx, worker))

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that stopped."""
        await self._write(lambda tx: tx.run("delete_worker", id=worker_id))

    async def publish(self, types: Sequence[TypeRecord]) -> None:
        """Make job types known to dispatchers."""
        self._writing()
        rows = [(record.name, _encode(record).decode()) for record in types]
        if rows:
            await self._write(lambda tx: tx.run("add_types", rows=rows))

    async def _each(self, ids: Sequence[str], move: Callable[[Ledger, JobRow], bool]) -> list[bool]:
        self._writing()
        if not ids:
            return []
        return await self._write(lambda tx: _move_each(tx, ids, move), len(ids))


def _cancel(tx: Transaction, ids: Sequence[str]) -> list[Cancelled]:
    ledger = Ledger(tx)
    rows = ledger.by_id(ids)
    answers: list[Cancelled] = []
    for job_id in ids:
        row = rows.get(job_id)
        if row is None:
            answers.append(Cancelled(None, done=False))
            continue
        before = row.status
        is_done = before is Status.CANCELLED or (not ledger.is_chunk(row) and cancel(ledger, row))
        answers.append(Cancelled(before, is_done))
    finish(ledger)
    return answers


def _move_each(tx: Transaction, ids: Sequence[str], move: Callable[[Ledger, JobRow], bool]) -> list[bool]:
    ledger = Ledger(tx)
    rows = ledger.by_id(ids)
    answers = [(row := rows.get(job_id)) is not None and move(ledger, row) for job_id in ids]
    ledger.store()
    return answers


def _retry(tx: Transaction, ids: Sequence[str]) -> list[bool]:
    ledger = Ledger(tx)
    rows = {job_id: row for job_id, row in ledger.by_id(ids).items() if _is_retryable(ledger, row)}
    answers = [rows.pop(job_id, None) for job_id in ids]
    retried = [row for row in answers if row is not None]
    if retried:
        remove_family(tx, [row.seq for row in retried])
        bodies = dict(decode_bodies(tx.value("envelopes", ids=[row.id for row in retried])))
        anew: list[JobRow] = []
        for row in retried:
            anew += rejoin(ledger, row)
            retry(ledger, row, decode_envelope(bodies[row.id]))
            anew.append(row)
        revive(ledger, anew)
        ledger.store()
    return [row is not None for row in answers]


def _reopen(tx: Transaction, parent_id: str, chunks: Sequence[Encoded]) -> bool:
    ledger = Ledger(tx)
    parent = ledger.by_id([parent_id]).get(parent_id)
    if parent is None or parent.parent is not None or not _is_reopenable(ledger, parent):
        return False
    known = ledger.by_id([envelope.id for envelope, _ in chunks])
    new = [chunk for chunk in chunks if chunk[0].id not in known]
    if not new:
        return False
    parent.epoch += 1
    ledger.set_error(parent, None)
    ledger.move(parent, Status.WAITING)
    ledger.emit(JobRetrying, parent, "", tx.now)
    add_chunks(ledger, parent, new, reopened=True)
    ledger.store()
    return True


def _delete(tx: Transaction, ids: Sequence[str]) -> list[bool]:
    ledger = Ledger(tx)
    rows = ledger.by_id(ids)
    busy = with_running_chunks(tx, [row.seq for row in rows.values()])
    idle = {
        job_id: row.seq
        for job_id, row in rows.items()
        if row.parent is None and row.status is not Status.PROCESSING and row.seq not in busy
    }
    if idle:
        abandon(ledger, list(idle.values()))
        remove(tx, list(idle.values()))
    return [idle.pop(job_id, None) is not None for job_id in ids]


def _set_queue(tx: Transaction, name: str, *, is_paused: bool) -> None:
    tx.run("set_queue", name=name, paused=int(is_paused))
    tx.run("bump_lanes")
    tx.woke |= not is_paused


def _beat(tx: Transaction, worker: WorkerRecord) -> None:
    tx.run("add_worker", id=worker.id, beat_at=worker.beat_at, record=_encode(worker).decode())
    tx.run("delete_silent", since=tx.now - _WORKER_SILENCE_MS)


def _is_retryable(ledger: Ledger, row: JobRow) -> bool:
    return not (ledger.is_chunk(row) or ledger.is_batch(row)) and (row.status, Trigger.RETRY) in TRANSITIONS


def _is_reopenable(ledger: Ledger, row: JobRow) -> bool:
    return not ledger.is_batch(row) and row.status in FINAL and (row.status, Trigger.SPAWN) in TRANSITIONS
