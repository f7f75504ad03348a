"""Pulls envelopes into the free slots.

Claims, runs and settlements overlap: a claim takes at most half of the slots, so that while one half runs the
other half's outcomes and next claim share one write. Claiming is starting: no more is claimed than can run.
"""

import logging
from collections.abc import Callable
from random import Random

from aiojobs_engine.core.errors import BackendFull, BackendUnavailable
from aiojobs_engine.ports.backend import Backend, Claim, Watch
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.runtime.slots import Slots

logger = logging.getLogger(__name__)

_LONGEST_WAIT = 5.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class Watcher:
    """Asks one backend for jobs as long as slots are free.

    Attributes:
        claimed: jobs so far.
        is_claiming: whether a claim is under way; such a one must not be cancelled.
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
        start: Callable[[Claim, float], None],
    ) -> None:
        """Hand each claim to `start`, with the monotonic time before the claim was sent."""
        self._store = store
        self._clock = clock
        self._rng = rng
        self._slots = slots
        self._watch = watch
        self._lease = lease
        self._start = start
        self._most = max(1, -(-slots.limit // 2))
        self._is_stopping = False
        self.claimed = 0
        self.is_claiming = False
        self.looked = Wake(clock)

    async def run(self) -> None:
        """Claim until `stop`; cancelling it in the middle of a claim leaves leases that nobody runs."""
        while not self._is_stopping:
            limit = min(self._slots.free, self._most)
            if limit == 0:
                await self._slots.wait_free()
            elif await self.look(limit) < limit and not self._is_stopping:
                await self._store.wait(self._watch, _LONGEST_WAIT)

    def quit(self) -> None:
        """Claim no more from now on."""
        self._is_stopping = True

    async def wait_quiet(self) -> None:
        """Return when no claim is under way."""
        while self.is_claiming:
            await self.looked.wait()

    async def look(self, limit: int) -> int:
        """Claim once and start what comes; how many jobs came."""
        self.is_claiming = True
        try:
            sent_at = self._clock.monotonic()
            claims = await self._patiently(limit)
            for claim in claims:
                self._start(claim, sent_at)
        finally:
            self.is_claiming = False
            self.looked.set()
        self.claimed += len(claims)
        return len(claims)

    async def _patiently(self, limit: int) -> list[Claim]:
        pause = _FIRST_PAUSE
        while not self._is_stopping:
            try:
                return await self._store.claim(self._watch, limit, self._lease)
            except (BackendUnavailable, BackendFull) as error:
                logger.warning("no jobs can be claimed, again in %.2f s: %s", pause, error)
                await self._clock.sleep(pause * self._rng.uniform(0.5, 1.5))
                pause = min(pause * 2, _LONGEST_PAUSE)
        return []
