"""`engine.failures`: the rows of bulk jobs that failed."""

from aiojobs_engine.bulk.failures import retry_failures
from aiojobs_engine.core.status import JobFailure
from aiojobs_engine.desks import interventions
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.listing import Listing, Page


class FailuresDesk:
    """Failed rows, by bulk job."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(
        self, job_id: str, *, unresolved: bool = False, limit: int | None = None, cursor: str | None = None
    ) -> Listing[JobFailure]:
        """The failed rows of a job in row order, `unresolved` ones only or all.

        Raises:
            JobNotFound: the job is not stored; raised when the listing is read.
            ConfigError: `limit` is wrong.
        """

        async def page(size: int, after: str | None) -> Page[JobFailure]:
            store = self._open().store
            if after is None:
                await interventions.status_of(store, job_id)
            rows = await store.failures(job_id, unresolved=unresolved, after=after, limit=size)
            return Page(rows, rows[-1].id if len(rows) == size else None)

        return Listing(page, limit=limit, cursor=cursor)

    async def retry(self, job_id: str) -> int:
        """Run the unresolved failed rows of an import again, and only those; how many there are.

        The job waits for them under its id, with `epoch` one more; rows that are good now move from `failed`
        to `succeeded`. Without unresolved rows nothing happens. The job's code is not needed here.

        Raises:
            JobNotFound: the job is not stored.
            IllegalTransition: it is no import, it has not ended, or its rows are being retried already.
            SourceChanged, ConfigError: its stored source was changed, or is gone.
        """
        session = self._open()
        known = interventions.checked_id(job_id)
        return await retry_failures(session.store, session.storage, known, session.clock.now())
