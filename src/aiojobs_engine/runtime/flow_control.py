"""What a worker does for types with a breaker: it watches how their runs end."""

import dataclasses

from aiojobs_engine.core.breaker import Circuit, checked_breaker
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.gates import Group
from aiojobs_engine.core.options import resolve
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.breakers import Breakers
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.registry import JobRegistry


def with_breakers(
    observing: Observing | None, store: Store, clock: Clock, registry: JobRegistry, settings: Settings
) -> tuple[Observing, Breakers | None]:
    """Those who follow a worker, with its breakers when a type has one."""
    observing = observing or Observing()
    circuits: dict[Group, Circuit] = {}
    for name, job_type in registry.types.items():
        options = resolve(name, job_type.kind, job_type.decorated, settings)
        breaker = checked_breaker(options.extra.get("breaker"), f"{name}: breaker")
        if breaker is not None:
            circuits[Group(options.queue, name)] = Circuit(breaker)
    if not circuits:
        return observing, None
    breakers = Breakers(store, clock, circuits)
    return dataclasses.replace(observing, observers=(*observing.observers, breakers)), breakers
