"""What a worker does for limits: it says which hold, and watches the runs of types with a breaker."""

import dataclasses
from collections.abc import Mapping

from aiojobs_engine.core.breaker import Circuit, checked_breaker
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.gates import Group
from aiojobs_engine.core.limiting import changed_limits
from aiojobs_engine.core.options import Resolved, declared_limits, resolve
from aiojobs_engine.ports.backend import Store, Watch
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.breakers import Breakers
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.registry import JobRegistry


async def declare_limits(
    store: Store, types: Mapping[str, Resolved], settings: Settings, watch: Watch
) -> None:
    """Let the limits hold that code and configuration say, and none that they say no more."""
    declared = declared_limits(types, settings.queues, watch.queues)
    stored = [record.limit for record in await store.limits()]
    if changed := changed_limits(declared, stored):
        await store.set_limits(changed)


def with_breakers(
    observing: Observing, store: Store, clock: Clock, registry: JobRegistry, settings: Settings
) -> tuple[Observing, Breakers | None]:
    """Those who follow a worker, with its breakers when a type has one."""
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
