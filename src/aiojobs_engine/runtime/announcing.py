"""What a worker tells the store about its code before it claims: types, for dispatch by name, and limits."""

from collections.abc import Mapping, Sequence

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.limiting import changed_limits
from aiojobs_engine.core.options import Resolved, declared_limits, published
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.control import TypeRecord
from aiojobs_engine.runtime.registry import JobRegistry


async def announce(
    store: Store,
    registry: JobRegistry,
    options: Mapping[str, Resolved],
    settings: Settings,
    queues: Sequence[str],
) -> None:
    """Publish the types, and let the limits hold that code and configuration say, and none besides."""
    await store.publish(_type_records(registry, options))
    declared = declared_limits(options, settings.queues, queues)
    stored = [record.limit for record in await store.limits()]
    if changed := changed_limits(declared, stored):
        await store.set_limits(changed)


def _type_records(registry: JobRegistry, options: Mapping[str, Resolved]) -> list[TypeRecord]:
    return [
        TypeRecord(
            name=name,
            kind=job_type.kind,
            queue=options[name].queue,
            options=published(options[name]),
            schema=job_type.arguments.schema(),
        )
        for name, job_type in registry.types.items()
    ]
