"""`engine.failures`: the rows of bulk jobs that failed."""

import os
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread

from aiojobs_engine.bulk.delivery import Target
from aiojobs_engine.bulk.failure_file import write_failures
from aiojobs_engine.bulk.failures import retry_failures
from aiojobs_engine.bulk.sinks import Format, format_of
from aiojobs_engine.core.status import JobFailure
from aiojobs_engine.desks import interventions
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.listing import Listing, Page

_PAGE = 1000


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

    async def export(
        self, job_id: str, to: str | os.PathLike[str] | BinaryIO, *, unresolved: bool = True
    ) -> int:
        """Write failed rows to a file, to mend and import: their columns, `_row`, `_field`, `_error`.

        Args:
            to: a path, whose end says the form as for exports, or an open binary file, which gets CSV.
            unresolved: only rows that no retry has mended, or all.

        Returns:
            how many rows were written.

        Raises:
            JobNotFound: the job is not stored.
            PayloadError: the end of the path says no form.
            DeliveryError: the path can't be written to; nothing is there, or what was before.
            ConfigError: the form needs an extra that is not installed.
        """
        session = self._open()
        await interventions.status_of(session.store, job_id)

        def rows() -> Listing[JobFailure]:
            return self.list(job_id, unresolved=unresolved, limit=_PAGE)

        if not isinstance(to, str | os.PathLike):
            return await write_failures(rows, Format("csv", None), to.write)
        form = format_of(os.fspath(to))
        target = await anyio.to_thread.run_sync(Target, Path(to).absolute(), job_id)  # noqa: ASYNC240 - no file is touched
        try:
            count = await write_failures(rows, form, target.write)
            await anyio.to_thread.run_sync(target.sync)
            await anyio.to_thread.run_sync(target.publish)
        except BaseException:
            target.discard()
            raise
        return count

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
