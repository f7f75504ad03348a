"""The SQLite store: reading for people and handles."""

from collections.abc import Sequence

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.rows import (
    decode_bodies,
    decode_results,
    decode_seen,
    job_result,
    job_status,
)
from aiojobs_engine.core.envelope import Envelope, decode_envelope
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import Result


class SqliteInspector(Part):
    """`Inspector` of the SQLite store."""

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand."""
        reader = self._reading()
        if not ids:
            return []
        now = self._clock.now()
        seen = decode_seen(await reader.value("get", ids=list(dict.fromkeys(ids)), now=now))
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
