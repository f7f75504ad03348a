"""Tells when a worker that ends by itself has nothing left to do."""

from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import JobFilter, Store, Watch
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
        watch: Watch,
        await_retries: bool,
    ) -> None:
        """With `await_retries`, jobs that retry, that others hold or that a rate holds back are to come."""
        self._store = store
        self._clock = clock
        self._slots = slots
        self._finalizer = finalizer
        self._watcher = watcher
        self._watch = watch
        self._await_retries = await_retries

    async def run(self) -> None:
        """Return when nothing runs, nothing is due, and nothing is to be waited for."""
        while True:
            claimed = self._watcher.claimed
            await self._slots.wait_empty()
            await self._finalizer.drain()
            if self._watcher.is_claiming:
                await self._watcher.looked.wait()
            elif not await self._is_more_to_do() and self._is_unmoved(claimed):
                return

    def _is_unmoved(self, claimed: int) -> bool:
        # a job that was taken while this looked, and may have run too, was seen by no answer of the store
        return self._watcher.claimed == claimed and not self._watcher.is_claiming

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
        return any(
            counts.get((queue, status)) for queue in self._watch.queues for status in _UNSETTLED
        ) or await held_back(self._store, self._watch)


async def held_back(store: Store, watch: Watch) -> bool:
    """Whether jobs wait that only a rate keeps from being claimed, so that time alone brings them."""
    for record in await store.limits():
        limit = record.limit
        if limit.rate is None or not record.in_force or limit.queue not in watch.queues:
            continue
        if (limit.type and limit.type not in watch.types) or (record.room or 0) >= 1:
            continue
        which = JobFilter(queue=limit.queue, type=limit.type or None, status=(Status.PENDING,))
        if (await store.find(which, 1, None))[0]:
            return True
    return False
