"""The Redis store: reading for people and handles."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from aiojobs_engine.backends.redis.keys import CODES, LANE_CHARS, PLACE, STATUSES, Lane
from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.backends.redis.rows import envelope_of, job_failure, job_result, job_status, state_of
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobFailure, JobStatus
from aiojobs_engine.core.views import failure_row, listing_end
from aiojobs_engine.ports.backend import JobFilter, Outlook, QueueStats, Result, TypeRecord, WorkerRecord

_SLICE = 500
_LOOKED_AT = 1000
_NEWEST = "+inf"
_Seen = TypeVar("_Seen")

_lane = msgspec.json.Decoder(Lane).decode
_worker = msgspec.json.Decoder(WorkerRecord).decode
_type = msgspec.json.Decoder(TypeRecord).decode


class RedisInspector(Part):
    """`Inspector` of the Redis store; a listing looks at every job, in slices that delay no worker."""

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand."""
        return await self._read(ids, job_status)

    async def find(
        self, which: JobFilter, limit: int, cursor: str | None
    ) -> tuple[list[JobStatus], str | None]:
        """At most `limit` jobs, the last accepted first, and the cursor of the next page."""
        limit = max(1, limit)
        return _page(await self.listed(which, limit + 1, listing_end(cursor)), limit)

    async def listed(self, which: JobFilter, most: int, end: int) -> list[tuple[str, JobStatus]]:
        """About `most` jobs before the place `end`, the last accepted first, each with its place.

        Fewer are all there are.
        """
        before = _before(end)
        if which.ids is not None:
            return await self._listed_by_id(which, which.ids, most, before)
        page: list[tuple[str, JobStatus]] = []
        codes = None if which.status is None else [CODES[status] for status in which.status]
        if which.dead:
            codes = [CODES[Status.FAILED]]
        wanted = False if codes is None else {str(code): True for code in codes} or {"": True}
        look = before
        while len(page) < most:
            now, last, *rows = await self._home.run("find", (look, _SLICE, wanted, which.parent_id or False))
            page += _fitting(rows, Instant(int(now)), which)
            if last is None:
                break
            look = last.decode()
        return page

    async def envelopes(self, ids: Sequence[str]) -> list[Envelope | None]:
        """What was dispatched, word for word."""
        return await self._read(ids, lambda body, _state, _now: envelope_of(body))

    async def results(self, ids: Sequence[str]) -> list[Result | None]:
        """Status, encoded result and error."""
        return await self._read(ids, job_result)

    async def outlooks(self, ids: Sequence[str]) -> list[Outlook | None]:
        """What stands between jobs and their next step."""
        if not ids:
            return []
        now, *rows = await self._home.run("outlooks", ids)
        return [
            Outlook(
                ahead=None if int(rank) < 0 else int(rank),
                lease_until=Instant(int(now) + int(left)) if left else None,
            )
            if int(stored)
            else None
            for stored, rank, left in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
        ]

    async def counts(self) -> dict[tuple[str, Status], int]:
        """Jobs by queue and status, without zeros."""
        reply = await self._home.run("queues", 0)
        return _counts(_lanes(reply[1]), reply[2])

    async def queues(self) -> list[QueueStats]:
        """Every queue that has or had jobs, or is paused, by name."""
        now, lanes, tally, paused, ages = await self._home.run("queues", _LOOKED_AT)
        by_name = _lanes(lanes)
        counts = _counts(by_name, tally)
        oldest = {name.decode(): int(due) for name, due in zip(ages[::2], ages[1::2], strict=True)}
        held_back = {name.decode() for name in paused}
        return [
            QueueStats(
                name=name,
                paused=name in held_back,
                counts={status.value: number for (queue, status), number in counts.items() if queue == name},
                oldest_age=max(0.0, (int(now) - oldest[name]) / 1000) if name in oldest else None,
            )
            for name in sorted({lane.queue for lane in by_name.values()} | held_back)
        ]

    async def workers(self) -> list[WorkerRecord]:
        """The workers that announced themselves and didn't leave, by start."""
        found = await self._home.client.command("HVALS", f"{self._home.prefix}workers")
        return sorted(map(_worker, found), key=lambda worker: (worker.started_at, worker.id))

    async def types(self) -> list[TypeRecord]:
        """The published job types, by name."""
        found = await self._home.client.command("HVALS", f"{self._home.prefix}types")
        return sorted(map(_type, found), key=lambda record: record.name)

    async def failures(
        self, job_id: str, *, unresolved: bool, after: str | None, limit: int
    ) -> list[JobFailure]:
        """At most `limit` failed rows of a bulk job after the failure `after`, in row order."""
        request = (job_id, failure_row(after), max(0, limit), unresolved)
        return [job_failure(job_id, stored) for stored in await self._home.run("failures", request)]

    async def _read(
        self, ids: Sequence[str], view: Callable[[bytes, bytes | None, Instant], _Seen]
    ) -> list[_Seen | None]:
        if not ids:
            return []
        now, *rows = await self._home.run("read", ids)
        read_at = Instant(int(now))
        return [
            None if body is None else view(body, state, read_at)
            for body, state in zip(rows[::2], rows[1::2], strict=True)
        ]

    async def _listed_by_id(
        self, which: JobFilter, ids: Sequence[str], most: int, before: str
    ) -> list[tuple[str, JobStatus]]:
        names = list(dict.fromkeys(ids))
        if not names:
            return []
        places = await self._home.client.command("ZMSCORE", f"{self._home.prefix}jobs", *names)
        jobs = await self.get(names)
        edge = None if before == _NEWEST else int(before)
        found = [
            (place.decode(), job)
            for place, job in zip(places, jobs, strict=True)
            if place is not None
            and job is not None
            and (edge is None or int(place) < edge)
            and _fits(job, which, has_chunks=False)
        ]
        return sorted(found, key=lambda each: each[0], reverse=True)[:most]


def _page(found: list[tuple[str, JobStatus]], limit: int) -> tuple[list[JobStatus], str | None]:
    shown = found[:limit]
    return [job for _, job in shown], shown[-1][0] if len(found) > limit else None


def _fitting(rows: Sequence[Any], now: Instant, which: JobFilter) -> list[tuple[str, JobStatus]]:
    found: list[tuple[str, JobStatus]] = []
    for place, body, state in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        if body is None:
            continue
        job = job_status(body, state, now)
        has_chunks = which.dead and bool(state) and state_of(state).extra.chunks > 0
        if _fits(job, which, has_chunks=has_chunks):
            found.append((place.decode(), job))
    return found


def _fits(job: JobStatus, which: JobFilter, *, has_chunks: bool) -> bool:
    wanted_and_is = (
        (which.type, job.type),
        (which.kind, job.kind),
        (which.queue, job.queue),
        (which.parent_id, job.parent_id),
        (which.user_id, None if job.user_id is None else str(job.user_id)),
        (which.reason, None if job.error is None else job.error.reason),
    )
    return (
        all(wanted is None or wanted == found for wanted, found in wanted_and_is)
        and (which.status is None or job.status in which.status)
        and (which.tag is None or which.tag in job.tags)
        and not (which.dead and (job.status is not Status.FAILED or has_chunks))
    )


def _lanes(words: Sequence[bytes]) -> dict[bytes, Lane]:
    return {name: _lane(text) for name, text in zip(words[::2], words[1::2], strict=True)}


def _counts(lanes: dict[bytes, Lane], tally: Sequence[bytes]) -> dict[tuple[str, Status], int]:
    counts: defaultdict[tuple[str, Status], int] = defaultdict(int)
    for field, number in zip(tally[::2], tally[1::2], strict=True):
        queue = lanes[field[:LANE_CHARS]].queue
        counts[queue, STATUSES[int(field[LANE_CHARS:])]] += int(number)
    return {key: number for key, number in counts.items() if number}


def _before(end: int) -> str:
    return _NEWEST if end >= PLACE else str(end)
