"""`engine.dead`: the dead letter queue, where jobs out of attempts wait for replay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, TypedDict, Unpack, cast

import msgspec

from aiojobs_engine.core.codec import encode_json
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError, IllegalTransition, JobNotFound
from aiojobs_engine.core.fingerprint import fingerprint
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.status import JobStatus, UserId
from aiojobs_engine.desks import interventions
from aiojobs_engine.desks.jobs import find
from aiojobs_engine.desks.trickle import Replayed, trickle
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.lifetime.session import OpenSession, Session
from aiojobs_engine.listing import LARGEST_PAGE, Listing, Page, is_count
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.inspector import JobFilter

_DIGEST = 6
_FASTEST = 10_000.0


class DeadFilter(TypedDict, total=False):
    """What dead jobs have in common.

    Attributes:
        reason: why no attempt follows, such as `max_attempts`, `crashed_worker` or `payload`.
        fingerprint: as `groups` shows it.
        since, until: they died at or after, or before this instant.
    """

    type: str | None
    queue: str | None
    reason: str | None
    fingerprint: str | None
    user_id: UserId | None
    tag: str | None
    since: datetime | None
    until: datetime | None


class FailureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Dead jobs that failed alike.

    Attributes:
        fingerprint: the same for the same fault of the same type, whatever the data.
        message: that of the newest one.
        newest: the id of the newest one.
        first_at, last_at: when the first and the last of them died.
    """

    fingerprint: str
    type: str
    error: str
    reason: str | None
    message: str
    count: int
    newest: str
    first_at: datetime | None
    last_at: datetime | None


class DeadDesk:
    """Failed jobs and chunks; bulk jobs themselves are not here, their rows are at `engine.failures`."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(
        self, *, limit: int | None = None, cursor: str | None = None, **filters: Unpack[DeadFilter]
    ) -> Listing[JobStatus]:
        """Dead jobs that fit all that is given, the newest first; see `DeadFilter`.

        Raises:
            ConfigError: a filter, `limit` or `cursor` is wrong.
        """
        which = _Which(filters)

        async def page(size: int, after: str | None) -> Page[JobStatus]:
            items: list[JobStatus] = []
            while True:
                jobs, after = await find(self._open().store, which.stored, size - len(items), after)
                items += filter(which.fits, jobs)
                if after is None or len(items) >= size:
                    return Page(items, after)

        return Listing(page, limit=limit, cursor=cursor)

    async def groups(self, **filters: Unpack[DeadFilter]) -> Sequence[FailureGroup]:
        """Dead jobs that fit by what they failed of, the largest group first. Reads all of them."""
        found: dict[str, list[JobStatus]] = {}
        async for job in _each(self._open, _Which(filters)):
            found.setdefault(fingerprint(job.type, job.error), []).append(job)
        groups = [_group(mark, jobs) for mark, jobs in found.items()]
        return sorted(groups, key=lambda group: (-group.count, group.fingerprint))

    async def get(self, job_id: str) -> JobStatus:
        """One dead job.

        Raises:
            JobNotFound: it is not stored, or not dead.
        """
        which = JobFilter(dead=True, ids=(interventions.checked_id(job_id),))
        jobs, _ = await self._open().store.find(which, 1, None)
        if not jobs:
            raise JobNotFound(job_id)
        return jobs[0]

    async def replay(
        self, id: str | None = None, *, limit: int | None = None, **filters: Unpack[DeadFilter]
    ) -> int:
        """Run dead jobs anew, all that fit or at most `limit` of them, the newest first; how many.

        They keep id and idempotency key; attempts start from 0 and `epoch` rises by one. Chunks are left out:
        `engine.failures.retry` runs their rows.

        Raises:
            JobNotFound: `id` is not stored.
            IllegalTransition: the job `id` is not dead, or it is a chunk.
            ConfigError: `limit` is below 1, or a filter is wrong.
        """
        _check_limit(limit)
        store = self._open().store
        if id is not None:
            await _replay_one(store, id)
            return 1
        count = 0
        async for jobs in _pages(self._open, _Which(filters)):
            chosen = jobs if limit is None else jobs[: limit - count]
            count += sum(await store.retry([job.id for job in chosen]))
            if limit is not None and count >= limit:
                break
        return count

    async def replay_slowly(
        self,
        rate: float,
        *,
        stop_after: int = 5,
        limit: int | None = None,
        **filters: Unpack[DeadFilter],
    ) -> Replayed:
        """Run dead jobs anew, `rate` of them a second, the newest first; stop when failures come back.

        It returns when the last one was started. To be cancelled leaves the others dead.

        Args:
            stop_after: how many of the replayed jobs may be dead again before it stops.

        Raises:
            ConfigError: a number is out of range, or a filter is wrong.
        """
        _check_limit(limit)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= _FASTEST:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"rate is jobs a second, above 0, at most {_FASTEST:,.0f}, got {rate!r:.80}")
        if not is_count(stop_after):
            raise ConfigError(f"stop_after is a number of jobs, at least 1, got {stop_after!r:.80}")
        session = self._open()
        ids: list[str] = []
        async for job in _each(self._open, _Which(filters)):
            if limit is not None and len(ids) >= limit:
                break
            ids.append(job.id)
        return await trickle(session, ids, rate, stop_after)

    async def edit(self, job_id: str, changes: Mapping[str, Any]) -> JobHandle[Any]:
        """Run a dead job anew with other arguments: `changes` over its own. The dead one is removed.

        The new job has an id of its own, for it may act where the old one has acted already, and everything
        else of the old one; `meta["edited_from"]` tells its id, arguments, error and fingerprint. A member of
        a batch stays dead beside the new job, which is no member. May be repeated with the same changes.

        Raises:
            JobNotFound: it is not stored, or not dead.
            IllegalTransition: it is a chunk, or belongs to a bulk job.
            PayloadError: the arguments don't fit the handler, or can't be JSON.
        """
        session = self._open()
        job = await self.get(job_id)
        (old,) = await session.store.envelopes([job_id])
        if old is None:
            raise JobNotFound(job_id)
        if old.kind != "job" or old.total:
            raise IllegalTransition(job_id, job.status, "edit")
        new = await _edited(session, job, old, changes)
        (answer,) = await session.enqueue([new])
        await session.store.delete([job_id])
        return JobHandle(answer.job_id, self._open, created=answer.created)

    async def purge(self, **filters: Unpack[DeadFilter]) -> int:
        """Remove dead jobs that fit; how many. Chunks go with their bulk jobs."""
        session = self._open()
        count = 0
        async for jobs in _pages(self._open, _Which(filters)):
            answers = await session.store.delete([job.id for job in jobs])
            for job, is_gone in zip(jobs, answers, strict=True):
                count += is_gone
                if is_gone and job.kind != "job":
                    await session.storage.remove(job.id)
        return count


class _Which:
    """A filter: what the store can look for, and what is looked at here."""

    def __init__(self, filters: DeadFilter) -> None:
        given = dict(cast("Mapping[str, Any]", filters))
        self._mark: str | None = given.pop("fingerprint", None)
        self._since, self._until = _instant(given, "since"), _instant(given, "until")
        user_id = given.pop("user_id", None)
        unknown = given.keys() - {"type", "queue", "reason", "tag"}
        if unknown:
            raise ConfigError(f"dead jobs have no {', '.join(sorted(unknown))} to find them by")
        self.stored = JobFilter(dead=True, user_id=None if user_id is None else str(user_id), **given)

    def fits(self, job: JobStatus) -> bool:
        """Whether a job that the store found is meant."""
        if self._mark is not None and fingerprint(job.type, job.error) != self._mark:
            return False
        if self._since is None and self._until is None:
            return True
        died = job.finished_at
        return (
            died is not None
            and (self._since is None or died >= self._since)
            and (self._until is None or died < self._until)
        )


async def _each(open_session: OpenSession, which: _Which) -> AsyncIterator[JobStatus]:
    async for jobs in _pages(open_session, which):
        for job in jobs:
            yield job


async def _pages(open_session: OpenSession, which: _Which) -> AsyncIterator[list[JobStatus]]:
    cursor: str | None = None
    while True:
        jobs, cursor = await find(open_session().store, which.stored, LARGEST_PAGE, cursor)
        if chosen := [job for job in jobs if which.fits(job)]:
            yield chosen
        if cursor is None:
            return


def _instant(given: dict[str, Any], name: str) -> datetime | None:
    value: object = given.pop(name, None)
    if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
        raise ConfigError(f"{name} must be a datetime with a time zone, got {value!r:.80}")
    return value


def _check_limit(limit: int | None) -> None:
    if limit is not None and not is_count(limit):
        raise ConfigError(f"limit is a number of jobs, at least 1, got {limit!r}")


def _group(mark: str, jobs: list[JobStatus]) -> FailureGroup:
    newest = jobs[0]
    ends = [job.finished_at for job in jobs if job.finished_at is not None]
    error = newest.error
    return FailureGroup(
        fingerprint=mark,
        type=newest.type,
        error="" if error is None else error.type,
        reason=None if error is None else error.reason,
        message="" if error is None else error.message,
        count=len(jobs),
        newest=newest.id,
        first_at=min(ends, default=None),
        last_at=max(ends, default=None),
    )


async def _edited(session: Session, job: JobStatus, old: Envelope, changes: Mapping[str, Any]) -> Envelope:
    arguments = msgspec.json.decode(old.payload, type=dict[str, Any])
    payload = encode_json({**arguments, **changes}, old.type)
    made = blake2b(f"{old.id}/{job.epoch}".encode() + payload, digest_size=_DIGEST).hexdigest()
    new: Job[Any] = Job(
        id=f"edit-{made}", type=old.type, kind=old.kind, payload=payload, options={"queue": old.queue}
    )
    job_type = session.registry.types.get(old.type)
    if job_type is not None:
        job_type.arguments.check(payload)
    else:
        await session.templates.looked_up(new)
    mark = fingerprint(job.type, job.error)
    told = None if job.error is None else f"{job.error.type}: {job.error.message}"
    origin = {"id": old.id, "arguments": arguments, "error": told, "fingerprint": mark}
    return msgspec.structs.replace(
        old,
        id=new.id,
        payload=msgspec.Raw(payload),
        created_at=session.clock.now(),
        scheduled_at=None,
        expires_at=None,
        parent_id=None,
        needs=(),
        unique=None,
        meta={**old.meta, "edited_from": origin},
    )


async def _replay_one(store: Store, job_id: str) -> None:
    which = JobFilter(dead=True, ids=(interventions.checked_id(job_id),))
    dead, _ = await store.find(which, 1, None)
    if not dead or not all(await store.retry([job_id])):
        status = await interventions.status_of(store, job_id)
        raise IllegalTransition(job_id, status.status, "replay")
