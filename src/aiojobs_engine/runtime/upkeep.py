"""What keeps the store moving, in every worker: promote due jobs, rescue lost leases, prune old jobs."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from aiojobs_engine.core.config import Settings, WorkerSettings, seconds_of
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.options import layered
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import Claim, Keep
from aiojobs_engine.ports.backend import Store as StorePort
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.storage import StoredJobs

logger = logging.getLogger(__name__)

_BATCH = 500
_LONGEST_SLEEP = 1.0
_IDLE_SLEEP = 2.0
_SHORT_LEASE = 5.0
_SHORT_SHARE, _SHARE = 8, 5
_GATHER = 0.01
_PRUNE_EVERY = 60.0


class Promoter:
    """Makes scheduled and retrying jobs pending when they are due."""

    def __init__(self, store: StorePort, clock: Clock) -> None:
        """Ask `store` when the next job is due, and once a second; every other while nothing is scheduled."""
        self._store = store
        self._clock = clock
        self._wake = Wake(clock)

    def set(self) -> None:
        """Look again now, for something was scheduled."""
        self._wake.set()

    async def run(self) -> None:
        """Promote until cancelled."""
        while True:
            promoted = await self._store.promote(_BATCH)
            if promoted.count < _BATCH:
                pause = _IDLE_SLEEP
                if promoted.next_due is not None:
                    pause = min(_LONGEST_SLEEP, max(0.001, (promoted.next_due - self._clock.now()) / 1000))
                if await self._wake.wait(pause):
                    await self._clock.sleep(_GATHER)


class Rescuer:
    """Takes over leases that ran out, for the finalizer to end."""

    def __init__(
        self,
        store: StorePort,
        clock: Clock,
        worker: str,
        settings: WorkerSettings,
        take: Callable[[Claim], None],
    ) -> None:
        """Look every `rescue_interval`, more often where leases are short; hand each lost claim to `take`."""
        self._store = store
        self._clock = clock
        self._worker = worker
        self._lease = settings.lease
        share = _SHORT_SHARE if settings.lease < _SHORT_LEASE else _SHARE
        self._every = min(settings.rescue_interval, settings.lease / share)
        self._take = take

    async def run(self) -> None:
        """Rescue until cancelled."""
        while True:
            claims = await self._store.rescue(self._worker, _BATCH, self._lease)
            for claim in claims:
                logger.warning(
                    "job %s was held by worker %s, whose lease ran out", claim.envelope.id, claim.lost_worker
                )
                self._take(claim)
            if len(claims) < _BATCH:
                await self._clock.sleep(self._every)


class Pruner:
    """Deletes old final jobs, the files of their rows, and exported files past their time."""

    def __init__(
        self,
        store: StorePort,
        clock: Clock,
        settings: Settings,
        removed: Callable[[Sequence[str]], Awaitable[None]],
        expire: Callable[[Instant, StoredJobs], Awaitable[object]],
    ) -> None:
        """Keep what `[retention]` says.

        `removed` gets the ids of deleted jobs, `expire` the time, and what tells which ids are jobs that need
        their files.
        """
        self._expire = expire
        self._store = store
        self._clock = clock
        self._settings = settings
        self._keeps = keeps_of(settings)
        self._removed = removed

    async def run(self) -> None:
        """Prune once a minute until cancelled, in slices between which others write."""
        while True:
            ids = await self._store.prune(self._keeps, _BATCH)
            if ids:
                await self._removed(ids)
            if len(ids) < _BATCH:
                await self._clock.sleep(_PRUNE_EVERY)
                await self.expired()

    async def expired(self) -> None:
        """Remove files past their time, once."""
        await self._expire(self._clock.now(), self._needed)

    async def _needed(self, ids: Sequence[str]) -> set[str]:
        found = await self._store.get(ids)
        return {
            job.id for job in found if job is not None and not (job.status in FINAL and self._may_go(job))
        }

    def _may_go(self, job: JobStatus) -> bool:
        """Whether the source of an import that has ended goes before its job."""
        return layered(self._settings, "storage", job.type, job.kind).ttl is not None


def keeps_of(settings: Settings) -> tuple[Keep, ...]:
    """`[retention]` as the store takes it."""
    completed, failed = settings.retention.completed, settings.retention.failed
    ended = (Status.COMPLETED, Status.PARTIAL, Status.CANCELLED, Status.DISCARDED, Status.EXPIRED)
    return (
        Keep(ended, seconds_of(completed.age), completed.keep),
        Keep((Status.FAILED,), seconds_of(failed.age), failed.keep),
    )
