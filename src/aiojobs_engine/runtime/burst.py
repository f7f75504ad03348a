"""Tells when a worker that ends by itself has nothing left to do."""

from collections.abc import Sequence

from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.finalizer import Finalizer
from aiojobs_engine.runtime.slots import Slots
from aiojobs_engine.runtime.watcher import Watcher

_LOOK_EVERY = 0.05
_PROMOTED_AT_ONCE = 500
_UNSETTLED = (Status.RETRYING, Status.PROCESSING)


class Burst:
    """Looks for work whenever the worker is idle."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        slots: Slots,
        finalizer: Finalizer,
        watcher: Watcher,
        queues: Sequence[str],
        await_retries: bool,
    ) -> None:
        """With `await_retries`, jobs of `queues` that retry, or that others hold, count as work to come."""
        self._store = store
        self._clock = clock
        self._slots = slots
        self._finalizer = finalizer
        self._watcher = watcher
        self._queues = queues
        self._await_retries = await_retries

    async def run(self) -> None:
        """Return when nothing runs, nothing is due, and nothing is to be waited for."""
        while True:
            await self._slots.wait_empty()
            await self._finalizer.drain()
            if self._watcher.is_claiming:
                await self._watcher.looked.wait()
            elif not await self._is_more_to_do() and not self._slots.runs:
                return

    async def _is_more_to_do(self) -> bool:
        # asked before looking: what becomes pending in between is found by the look
        is_awaiting = self._await_retries and await self._has_unsettled()
        if await self._watcher.look(1):
            return True
        if (await self._store.promote(_PROMOTED_AT_ONCE)).count:
            return True
        if is_awaiting:
            await self._clock.sleep(_LOOK_EVERY)
        return is_awaiting

    async def _has_unsettled(self) -> bool:
        counts = await self._store.counts()
        return any(counts.get((queue, status)) for queue in self._queues for status in _UNSETTLED)
