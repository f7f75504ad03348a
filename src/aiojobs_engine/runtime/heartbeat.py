"""Keeps leases alive, and hears what the store answers: held, cancelling, pausing or lost.

Renewals go three times per lease, in one call. A run's own deadline is monotonic and counted from before the
renewal was sent, so that a worker cut off from its store stops its handlers before somebody else starts them.
"""

import logging
from collections.abc import Callable

from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.ports.backend import LeaseStatus, WorkerRecord
from aiojobs_engine.ports.backend import Store as StorePort
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.deadlines import Deadlines
from aiojobs_engine.runtime.outage import Outage
from aiojobs_engine.runtime.run import Run, Stop
from aiojobs_engine.runtime.slots import Slots

logger = logging.getLogger(__name__)

_SAFE_SHARE = 0.85


class Heartbeat:
    """Extends the leases of all runs and announces the worker.

    Attributes:
        beaten_at: monotonic seconds of the last renewal that the store answered.
    """

    def __init__(
        self,
        store: StorePort,
        clock: Clock,
        *,
        slots: Slots,
        deadlines: Deadlines,
        lease: float,
        describe: Callable[[], WorkerRecord],
        outage: Outage,
    ) -> None:
        """Renew every third of `lease` seconds; `describe` makes the worker's announcement."""
        self._store = store
        self._clock = clock
        self._slots = slots
        self._deadlines = deadlines
        self._lease = lease
        self._describe = describe
        self._outage = outage
        self.beaten_at = clock.monotonic()

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            pause = self._lease / 3 if await self.beat() else self._lease / 10
            await self._clock.sleep(pause)

    async def guard(self) -> None:
        """End runs before their leases do, until cancelled, also while a renewal gets no answer."""
        while True:
            await self._clock.sleep(self._lease / 10)
            self._give_up_overdue()

    async def beat(self) -> bool:
        """Renew once; whether the store answered."""
        sent_at = self._clock.monotonic()
        runs = [run for run in self._slots.runs.values() if not run.is_finalized]
        try:
            await self._store.beat(self._describe())
            answers = await self._store.extend([run.claim.lease for run in runs], self._lease)
        except Exception as error:
            if isinstance(error, BackendError):
                self._outage.note(error)
            else:
                logger.warning("leases could not be renewed: %s", error, exc_info=True)
            return False
        self._outage.over()
        self.beaten_at = sent_at
        for run, answer in zip(runs, answers, strict=True):
            self._hear(run, answer, sent_at)
        return True

    def _hear(self, run: Run, answer: LeaseStatus, sent_at: float) -> None:
        if run.is_finalized:
            return
        if not answer.held:
            self._lose(run)
            return
        run.leased_at = sent_at
        if answer.cancelling and run.stop is None:
            if run.context is not None and run.context.is_between_rows:
                run.context.stopping = True
                self._deadlines.ask(run, Stop.CANCELLED)
            else:
                self._deadlines.end(run, Stop.CANCELLED)
        if answer.pausing:
            run.pausing = True
            if run.context is not None:
                run.context.stopping = run.context.pausing = True

    def _give_up_overdue(self) -> None:
        margin = self._lease * _SAFE_SHARE
        now = self._clock.monotonic()
        for run in list(self._slots.runs.values()):
            if now - run.leased_at > margin and not run.is_finalized:
                self._lose(run)

    def _lose(self, run: Run) -> None:
        if run.stop is not Stop.LOST:
            logger.warning("the lease of job %s was lost; its handler is cancelled", run.claim.envelope.id)
            self._deadlines.end(run, Stop.LOST)
