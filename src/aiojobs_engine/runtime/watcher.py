"""Pulls envelopes into the free slots.

Claims, runs and settlements overlap: with short jobs some are claimed ahead (`pace.py`), so that while
they run the outcomes of the last ones and the next claim share one write.
"""

from random import Random
from typing import Protocol

from anyio.lowlevel import checkpoint

from aiojobs_engine.core.errors import BackendFull, BackendUnavailable
from aiojobs_engine.ports.backend import Backend, Claim, Watch
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.observer import Observer
from aiojobs_engine.runtime.outage import Outage
from aiojobs_engine.runtime.slots import Slots
from aiojobs_engine.runtime.task_group import join, start

_LONGEST_WAIT = 5.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LARGEST_CLAIM = 500
_SHORT_RUN = 0.01


class Start(Protocol):
    """Takes a claim over."""

    def __call__(self, claim: Claim, sent_at: float, *, was_ahead: bool = False) -> None:
        """Run it: claimed with a call sent at `sent_at` (monotonic seconds), perhaps ahead of a free slot."""
        ...


class Watcher:
    """Asks one backend for jobs as long as slots are free.

    Attributes:
        claimed: jobs so far.
        looked: rung after each claim.
    """

    def __init__(
        self,
        store: Backend,
        clock: Clock,
        rng: Random,
        *,
        slots: Slots,
        watch: Watch,
        lease: float,
        start: Start,
        outage: Outage,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        """Hand each claim to `start`."""
        self._store = store
        self._clock = clock
        self._rng = rng
        self._slots = slots
        self._watch = watch
        self._lease = lease
        self._start = start
        self._observers = observers
        self._outage = outage
        self._is_stopping = False
        self.claimed = 0
        self.looked = Wake(clock)
        self._under_way = 0

    @property
    def is_claiming(self) -> bool:
        """Whether a claim is under way; such a one must not be cancelled."""
        return self._under_way > 0

    async def run(self) -> None:
        """Claim until `stop`; cancelling it in the middle of a claim leaves leases that nobody runs."""
        while not self._is_stopping:
            limit = min(self._slots.room, _LARGEST_CLAIM)
            if limit == 0:
                await self._slots.wait_free()
            elif await self.look(limit) < limit:
                await checkpoint()  # what came begins before the store is asked for more
                if not self._is_stopping:
                    await self._wait()

    def quit(self) -> None:
        """Claim no more from now on."""
        self._is_stopping = True

    async def wait_quiet(self) -> None:
        """Return when no claim is under way."""
        while self.is_claiming:
            await self.looked.wait()

    async def look(self, limit: int) -> int:
        """Claim once and start what comes; how many jobs came."""
        self._under_way += 1
        try:
            sent_at = self._clock.monotonic()
            at_once = min(limit, self._slots.free)
            claims = await self._patiently(limit, limit - at_once)
            if claims and self._observers:
                seconds = self._clock.monotonic() - sent_at
                for observer in self._observers:
                    observer.fetched(claims, seconds)
            self.claimed += len(claims)
            for place, claim in enumerate(claims):
                is_ahead = place >= at_once or not claim.has_started
                self._start(claim, sent_at - claim.age, was_ahead=is_ahead)
        finally:
            self._under_way -= 1
            self.looked.set()
        return len(claims)

    async def note_begun(self) -> None:
        """Tell the store which of the jobs claimed ahead run now, until cancelled; short runs end untold."""
        while True:
            await self._slots.wait_begun()
            await self._clock.sleep(_SHORT_RUN)
            begun = self._slots.take_begun()
            if begun:
                await self._store.begin([run.claim.lease for run in begun])

    async def _wait(self) -> None:
        """Return when the store may have work; once nothing runs any more it knows of an idle worker."""
        if self._slots.runs:
            waiting = start(self._store.wait(self._watch, _LONGEST_WAIT), "aiojobs:wait")
            self._slots.when_empty(waiting.cancel)
            try:
                await join(waiting)
            finally:
                self._slots.when_empty(None)
                waiting.cancel()
            if not waiting.cancelled():
                waiting.result()
                return
        await self._store.wait(self._watch, _LONGEST_WAIT, is_idle=True)

    async def _patiently(self, limit: int, ahead: int) -> list[Claim]:
        pause = _FIRST_PAUSE
        while not self._is_stopping:
            try:
                claims = await self._store.claim(self._watch, limit, self._lease, ahead)
            except (BackendUnavailable, BackendFull) as error:
                self._outage.note(error)
                await self._clock.sleep(pause * self._rng.uniform(0.5, 1.5))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._outage.over()
                return claims
        return []
