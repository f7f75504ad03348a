"""Who follows the work of a worker: tracing, observers, and the look around that some of them want."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.observer import ListenerLoad, Load, Observer
from aiojobs_engine.ports.tracing import FindTracing, no_tracing
from aiojobs_engine.runtime.slots import Slots

_EVERY = 10.0


def _nobody() -> Mapping[str, ListenerLoad]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """What the engine hands to a worker; by default nobody follows it.

    Attributes:
        tracing: says who makes spans now.
        observers: hear of claims, outcomes and the load.
        listeners: how the listeners of this process keep up, by name.
    """

    tracing: FindTracing = no_tracing
    observers: tuple[Observer, ...] = ()
    listeners: Callable[[], Mapping[str, ListenerLoad]] = _nobody


class Sampler:
    """Looks around for the observers, every ten seconds."""

    def __init__(self, store: Store, clock: Clock, slots: Slots, observing: Observing) -> None:
        """Read the queues of `store` and the load of `slots`."""
        self._store = store
        self._clock = clock
        self._slots = slots
        self._observing = observing

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(_EVERY)

    async def look(self) -> None:
        """Look once."""
        slots = self._slots
        load = Load(
            slots=slots.limit,
            running=len(slots.runs),
            stuck=slots.stuck,
            queues=await self._store.queues(),
            listeners=self._observing.listeners(),
        )
        for observer in self._observing.observers:
            observer.sampled(load)
