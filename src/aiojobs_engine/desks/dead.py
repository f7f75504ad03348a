"""`engine.dead`: the dead letter queue, where jobs out of attempts wait for replay."""

from aiojobs_engine.core.errors import ConfigError, IllegalTransition, JobNotFound
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.desks import interventions
from aiojobs_engine.desks.jobs import find, found, removed
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.listing import LARGEST_PAGE, Listing, is_count
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.inspector import JobFilter


class DeadDesk:
    """Failed jobs and chunks; bulk jobs themselves are not here, their rows are at `engine.failures`."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(
        self,
        *,
        type: str | None = None,
        queue: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[JobStatus]:
        """Dead jobs that fit all that is given, the newest first.

        Args:
            reason: why no attempt follows, such as `max_attempts`, `crashed_worker` or `payload`.

        Raises:
            ConfigError: `limit` or `cursor` is wrong.
        """
        which = JobFilter(dead=True, type=type, queue=queue, reason=reason)
        return found(self._open, which, limit=limit, cursor=cursor)

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
        self,
        id: str | None = None,
        *,
        type: str | None = None,
        queue: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
    ) -> int:
        """Run dead jobs anew, all that fit or at most `limit` of them, the newest first; how many.

        They keep id and idempotency key; attempts start from 0 and `epoch` rises by one. Chunks are left out:
        `engine.failures.retry` runs their rows.

        Raises:
            JobNotFound: `id` is not stored.
            IllegalTransition: the job `id` is not dead, or it is a chunk.
            ConfigError: `limit` is below 1.
        """
        if limit is not None and not is_count(limit):
            raise ConfigError(f"limit is a number of jobs, at least 1, got {limit!r}")
        store = self._open().store
        if id is not None:
            await _replay_one(store, id)
            return 1
        which = JobFilter(dead=True, type=type, queue=queue, reason=reason)
        return await _replay(store, which, limit)

    async def purge(
        self, *, type: str | None = None, queue: str | None = None, reason: str | None = None
    ) -> int:
        """Remove dead jobs that fit; how many. Chunks go with their bulk jobs."""
        return await removed(self._open(), JobFilter(dead=True, type=type, queue=queue, reason=reason))


async def _replay_one(store: Store, job_id: str) -> None:
    which = JobFilter(dead=True, ids=(interventions.checked_id(job_id),))
    dead, _ = await store.find(which, 1, None)
    if not dead or not all(await store.retry([job_id])):
        status = await interventions.status_of(store, job_id)
        raise IllegalTransition(job_id, status.status, "be replayed")


async def _replay(store: Store, which: JobFilter, limit: int | None) -> int:
    count = 0
    cursor: str | None = None
    while limit is None or count < limit:
        size = LARGEST_PAGE if limit is None else min(LARGEST_PAGE, limit - count)
        jobs, cursor = await find(store, which, size, cursor)
        count += sum(await store.retry([job.id for job in jobs]))
        if cursor is None:
            break
    return count
