"""`engine.jobs`: looking at jobs, and intervening."""

from collections.abc import Iterable, Sequence
from typing import TypeGuard

from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.limits import is_storable
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus, UserId
from aiojobs_engine.desks import interventions
from aiojobs_engine.lifetime.session import OpenSession, Session
from aiojobs_engine.listing import LARGEST_PAGE, Listing, Page
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.inspector import JobFilter

Statuses = str | Iterable[str]

_TEXTS = ("type", "kind", "queue", "user_id", "tag", "parent_id", "reason")


class JobsDesk:
    """Jobs, one at a time by id, or many by what they have in common."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    async def get(self, job_id: str) -> JobStatus:
        """The job as it stands.

        Raises:
            JobNotFound: it is not stored.
        """
        return await interventions.status_of(self._open().store, job_id)

    def list(
        self,
        *,
        status: Statuses | None = None,
        type: str | None = None,
        kind: str | None = None,
        queue: str | None = None,
        user_id: UserId | None = None,
        tag: str | None = None,
        parent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[JobStatus]:
        """Jobs that fit all that is given, the newest first, in pages of `limit` (100, at most 1,000).

        Args:
            status: one or several.
            user_id: compared as text.

        Raises:
            ConfigError: a status is unknown, or `limit` or `cursor` is wrong.
        """
        which = JobFilter(
            status=checked_statuses(status),
            type=type,
            kind=kind,
            queue=queue,
            user_id=None if user_id is None else str(user_id),
            tag=tag,
            parent_id=parent_id,
        )
        return found(self._open, which, limit=limit, cursor=cursor)

    async def cancel(self, job_id: str) -> None:
        """End a queued job at once; in a running one the handler is cancelled. May be repeated.

        Raises:
            TooLate: it had ended.
            IllegalTransition: it is a chunk, which is cancelled with its bulk job.
            JobNotFound: it is not stored.
        """
        await interventions.cancel(self._open().store, job_id)

    async def pause(self, job_id: str) -> None:
        """Park a queued job; a running one stops at its next checkpoint, an import between rows.

        Raises:
            TooLate, IllegalTransition, JobNotFound: as in `cancel`.
        """
        await interventions.pause(self._open().store, job_id)

    async def resume(self, job_id: str) -> None:
        """Make a paused job pending again.

        Raises:
            TooLate, IllegalTransition, JobNotFound: as in `cancel`.
        """
        await interventions.resume(self._open().store, job_id)

    async def retry(self, job_id: str) -> None:
        """Start a job that ended without success anew: same id, attempts from 0, `epoch` one more.

        Raises:
            IllegalTransition: it has not ended, or it ended well, or it is a chunk.
            JobNotFound: it is not stored.
        """
        await interventions.retry(self._open().store, job_id)

    async def delete(self, job_id: str) -> None:
        """Remove a job that nobody runs, with its failed rows, chunks and stored source.

        Raises:
            IllegalTransition: it runs, or it is a chunk, which goes with its bulk job.
            JobNotFound: it is not stored.
        """
        session = self._open()
        await interventions.delete(session.store, job_id)
        await session.storage.remove(job_id)

    async def purge(
        self,
        *,
        status: Statuses | None = None,
        type: str | None = None,
        kind: str | None = None,
        queue: str | None = None,
        user_id: UserId | None = None,
        tag: str | None = None,
    ) -> int:
        """Remove all jobs that have ended and fit what is given; how many. Chunks go with their bulk jobs.

        Args:
            status: final ones only; all of them without.

        Raises:
            ConfigError: a status is unknown or not final.
        """
        statuses = checked_statuses(status) or tuple(sorted(FINAL))
        for each in statuses:
            if each not in FINAL:
                raise ConfigError(f"purge removes jobs that have ended, not {each} ones; cancel those first")
        which = JobFilter(
            status=statuses,
            type=type,
            kind=kind,
            queue=queue,
            user_id=None if user_id is None else str(user_id),
            tag=tag,
        )
        return await removed(self._open(), which)


async def find(
    store: Store, which: JobFilter, limit: int, cursor: str | None
) -> tuple[list[JobStatus], str | None]:
    """A page of the jobs that a filter selects, and the cursor of the next one.

    Raises:
        ConfigError: the filter compares with something else than text, or the cursor is wrong.
    """
    for name in _TEXTS:
        text: object = getattr(which, name)
        if text is None:
            continue
        if not isinstance(text, str):
            raise ConfigError(f"{name} is compared as text, got {text!r:.80}")
        if not is_storable(text):
            return [], None
    return await store.find(which, limit, cursor)


def found(
    open_session: OpenSession, which: JobFilter, *, limit: int | None, cursor: str | None
) -> Listing[JobStatus]:
    """The jobs that a filter selects, the newest first."""

    async def page(size: int, after: str | None) -> Page[JobStatus]:
        return Page(*await find(open_session().store, which, size, after))

    return Listing(page, limit=limit, cursor=cursor)


async def removed(session: Session, which: JobFilter) -> int:
    """Delete the jobs that a filter selects and that can be deleted, with their stored sources; how many."""
    count = 0
    cursor: str | None = None
    while True:
        jobs, cursor = await find(session.store, which, LARGEST_PAGE, cursor)
        answers = await session.store.delete([job.id for job in jobs])
        for job, is_gone in zip(jobs, answers, strict=True):
            count += is_gone
            if is_gone and job.kind != "job":
                await session.storage.remove(job.id)
        if cursor is None:
            return count


def checked_statuses(status: Statuses | None) -> tuple[Status, ...] | None:
    """The statuses of a filter; None means any.

    Raises:
        ConfigError: one is unknown; the error names the nearest.
    """
    if status is None:
        return None
    words: Sequence[object] = list(status) if _are_several(status) else [status]
    known = [str(each) for each in Status]
    for word in words:
        if word not in known:
            hint = did_you_mean(str(word), known) or f"; there are {', '.join(known)}"
            raise ConfigError(f"no job has the status {word!r:.80}{hint}")
    return tuple(Status(str(word)) for word in words)


def _are_several(status: object) -> TypeGuard[Iterable[object]]:
    return isinstance(status, Iterable) and not isinstance(status, str | bytes)
