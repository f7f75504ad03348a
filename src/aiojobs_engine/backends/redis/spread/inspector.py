"""The store in several homes: reading for people and handles."""

import re
from collections import Counter
from collections.abc import Sequence

from aiojobs_engine.backends.redis.keys import PLACE
from aiojobs_engine.backends.redis.spread.routes import Routes, together
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobFailure, JobStatus
from aiojobs_engine.ports.backend import JobFilter, Outlook, QueueStats, Result, TypeRecord, WorkerRecord

_PLACES = re.compile(r"[0-9]{0,16}(?:\.[0-9]{0,16})*", re.ASCII)
_DONE = "0"


class SpreadInspector(Routes):
    """`Inspector` in several homes; the cursor of a listing names the place in each of them."""

    async def get(self, ids: Sequence[str]) -> list[JobStatus | None]:
        """The jobs as they stand."""
        return await self._seen(ids, lambda store, part: store.get(part))

    async def find(
        self, which: JobFilter, limit: int, cursor: str | None
    ) -> tuple[list[JobStatus], str | None]:
        """At most `limit` jobs, by the time of their dispatch, and within a home the last accepted first."""
        ends, limit = self._ends(cursor), max(1, limit)
        asked = [home for home, end in enumerate(ends) if end != _DONE]
        pages = await together(
            self._stores[home].listed(which, limit + 1, int(ends[home] or PLACE)) for home in asked
        )
        found = dict(zip(asked, pages, strict=True))
        shown: list[JobStatus] = []
        while len(shown) < limit and any(found.values()):
            home = max((home for home in asked if found[home]), key=lambda home: _recency(found[home][0]))
            place, job = found[home].pop(0)
            shown.append(job)
            ends[home] = place
        for home in asked:
            if not found[home]:
                ends[home] = _DONE
        return shown, ".".join(ends) if any(found.values()) else None

    async def envelopes(self, ids: Sequence[str]) -> list[Envelope | None]:
        """What was dispatched, word for word."""
        return await self._seen(ids, lambda store, part: store.envelopes(part))

    async def results(self, ids: Sequence[str]) -> list[Result | None]:
        """Status, encoded result and error."""
        return await self._seen(ids, lambda store, part: store.results(part))

    async def outlooks(self, ids: Sequence[str]) -> list[Outlook | None]:
        """What stands between jobs and their next step; `ahead` counts those in the same home."""
        return await self._seen(ids, lambda store, part: store.outlooks(part))

    async def counts(self) -> dict[tuple[str, Status], int]:
        """Jobs by queue and status, without zeros."""
        total: Counter[tuple[str, Status]] = Counter()
        for counted in await self._all(lambda store: store.counts()):
            total.update(counted)
        return dict(total)

    async def queues(self) -> list[QueueStats]:
        """Every queue that has or had jobs, or is paused, by name."""
        by_name: dict[str, list[QueueStats]] = {}
        for part in await self._all(lambda store: store.queues()):
            for stats in part:
                by_name.setdefault(stats.name, []).append(stats)
        return [_merged(name, by_name[name]) for name in sorted(by_name)]

    async def workers(self) -> list[WorkerRecord]:
        """The workers that announced themselves and didn't leave, by start."""
        return await self._first.workers()

    async def types(self) -> list[TypeRecord]:
        """The published job types, by name."""
        return await self._first.types()

    async def failures(
        self, job_id: str, *, unresolved: bool, after: str | None, limit: int
    ) -> list[JobFailure]:
        """At most `limit` failed rows of a bulk job after the failure `after`, in row order."""
        home = (await self._located([job_id])).get(job_id, 0)
        return await self._stores[home].failures(job_id, unresolved=unresolved, after=after, limit=limit)

    def _ends(self, cursor: str | None) -> list[str]:
        """Before which place the listing goes on in each home; an empty one begins it.

        Raises:
            ConfigError: it is no cursor of this store.
        """
        if cursor is None:
            return [""] * len(self._stores)
        ends = cursor.split(".")
        if _PLACES.fullmatch(cursor) is None or len(ends) != len(self._stores):
            raise ConfigError(f"{cursor!r:.80} is no cursor of this store; take next_cursor of its last page")
        return ends


def _recency(listed: tuple[str, JobStatus]) -> tuple[float, int]:
    place, job = listed
    return job.created_at.timestamp(), int(place)


def _merged(name: str, parts: Sequence[QueueStats]) -> QueueStats:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    ages = [part.oldest_age for part in parts if part.oldest_age is not None]
    return QueueStats(
        name=name,
        paused=any(part.paused for part in parts),
        counts=dict(counts),
        oldest_age=max(ages, default=None),
    )
