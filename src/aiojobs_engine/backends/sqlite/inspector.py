"""The SQLite store: reading for people and handles."""

from collections.abc import Sequence
from typing import Any

import msgspec

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.codes import CODES, STATUSES
from aiojobs_engine.backends.sqlite.rows import (
    decode_bodies,
    decode_failures,
    decode_results,
    decode_seen,
    job_failure,
    job_result,
    job_status,
)
from aiojobs_engine.core.envelope import Envelope, decode_envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobFailure, JobStatus
from aiojobs_engine.core.views import failure_row, listing_end
from aiojobs_engine.ports.backend import JobFilter, Outlook, QueueStats, Result, TypeRecord, WorkerRecord

_FEW = 8
_LEASED = {Status.PROCESSING}
_PARKED = {Status.WAITING, Status.PAUSED}
_ENDED_BADLY = {Status.PARTIAL, Status.FAILED, Status.CANCELLED, Status.DISCARDED, Status.EXPIRED}

_texts = msgspec.json.Decoder(list[str]).decode
_seqs = msgspec.json.Decoder(list[int]).decode
_outlooks = msgspec.json.Decoder(list[tuple[str, int | None, int | None]]).decode
_counted = msgspec.json.Decoder(list[tuple[str, int, int]]).decode
_queues = msgspec.json.Decoder(list[tuple[str, bool, int | None]]).decode
_worker = msgspec.json.Decoder(WorkerRecord).decode
_type = msgspec.json.Decoder(TypeRecord).decode


class SqliteInspector(Part):
    """`Inspector` of the SQLite store."""

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand."""
        reader = self._reading()
        if not ids:
            return []
        now = self._clock.now()
        read = reader.value_at_once if len(ids) <= _FEW else reader.value
        seen = decode_seen(await read("get", ids=list(dict.fromkeys(ids)), now=now))
        known = {job.id: job_status(job, now) for job in seen}
        return [known.get(job_id) for job_id in ids]

    async def envelopes(self, ids: Sequence[str]) -> list[Envelope | None]:
        """What was dispatched, word for word."""
        reader = self._reading()
        if not ids:
            return []
        bodies = dict(decode_bodies(await reader.value("envelopes", ids=list(dict.fromkeys(ids)))))
        return [decode_envelope(bodies[job_id]) if job_id in bodies else None for job_id in ids]

    async def results(self, ids: Sequence[str]) -> list[Result | None]:
        """Status, encoded result and error."""
        reader = self._reading()
        if not ids:
            return []
        rows = decode_results(
            await reader.value("results", ids=list(dict.fromkeys(ids)), now=self._clock.now())
        )
        known = {row.id: job_result(row) for row in rows}
        return [known.get(job_id) for job_id in ids]

    async def find(
        self, which: JobFilter, limit: int, cursor: str | None
    ) -> tuple[list[JobStatus], str | None]:
        """At most `limit` jobs, the last accepted first, and the cursor of the next page."""
        reader = self._reading()
        limit = max(1, limit)
        seqs = _seqs(
            await reader.value(_path(which), limit=limit + 1, before=listing_end(cursor), **_values(which))
        )
        has_more, seqs = len(seqs) > limit, seqs[:limit]
        if not seqs:
            return [], None
        now = self._clock.now()
        seen = decode_seen(await reader.value("get_seqs", seqs=seqs, now=now))
        return [job_status(job, now) for job in seen], str(seqs[-1]) if has_more else None

    async def outlooks(self, ids: Sequence[str]) -> list[Outlook | None]:
        """What stands between jobs and their next step."""
        reader = self._reading()
        if not ids:
            return []
        now, (boot, elapsed) = self._clock.now(), self._clock.boot()
        text = await reader.value("outlooks", ids=list(dict.fromkeys(ids)), boot=boot, elapsed=elapsed)
        known = {
            job_id: Outlook(ahead=ahead, lease_until=None if left is None else Instant(now + left))
            for job_id, ahead, left in _outlooks(text)
        }
        return [known.get(job_id) for job_id in ids]

    async def counts(self) -> dict[tuple[str, Status], int]:
        """Jobs by queue and status, without zeros."""
        rows = _counted(await self._reading().value("counts"))
        return {(queue, STATUSES[code]): number for queue, code, number in rows}

    async def queues(self) -> list[QueueStats]:
        """Every queue that has or had jobs, or is paused, by name."""
        counts = await self.counts()
        rows = _queues(await self._reading().value("queues"))
        now = self._clock.now()
        return [
            QueueStats(
                name=name,
                paused=is_paused,
                counts={status.value: number for (queue, status), number in counts.items() if queue == name},
                oldest_age=None if since is None else max(0.0, (now - since) / 1000),
            )
            for name, is_paused, since in rows
        ]

    async def workers(self) -> list[WorkerRecord]:
        """The workers that announced themselves and didn't leave, by start."""
        workers = [_worker(text) for text in _texts(await self._reading().value("workers"))]
        return sorted(workers, key=lambda worker: (worker.started_at, worker.id))

    async def types(self) -> list[TypeRecord]:
        """The published job types, by name."""
        return [_type(text) for text in _texts(await self._reading().value("types"))]

    async def failures(
        self, job_id: str, *, unresolved: bool, after: str | None, limit: int
    ) -> list[JobFailure]:
        """At most `limit` failed rows of a bulk job after the failure `after`, in row order."""
        row = failure_row(after)
        rows = await self._reading().value(
            "failures", id=job_id, after=row, unresolved=int(unresolved), limit=max(0, limit)
        )
        return [job_failure(job_id, row) for row in decode_failures(rows)]


def _path(which: JobFilter) -> str:
    """The statement that reads least for a filter."""
    statuses = None if which.status is None else set(which.status)
    if which.ids is not None:
        return "find_ids"
    if which.parent_id is not None:
        return "find_parent"
    if which.tag is not None:
        return "find_tag"
    if which.user_id is not None:
        return "find_user"
    if which.dead or (statuses is not None and statuses <= _ENDED_BADLY):
        return "find_ended_badly"
    if statuses is not None and statuses <= _LEASED:
        return "find_leased"
    if statuses is not None and statuses <= _PARKED:
        return "find_parked"
    return "find_all"


def _values(which: JobFilter) -> dict[str, Any]:
    return {
        "ids": list(which.ids or ()),
        "status": None if which.status is None else [CODES[status] for status in which.status],
        "type": which.type,
        "kind": which.kind,
        "queue": which.queue,
        "user": which.user_id,
        "tag": which.tag,
        "parent": which.parent_id,
        "reason": which.reason,
        "dead": int(which.dead),
    }
