"""What a worker tells the store of its code before it claims the first job: types and limits."""

from collections.abc import Mapping, Sequence

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.limiting import changed_limits
from aiojobs_engine.core.options import Resolved, declared_limits, published
from aiojobs_engine.ports.backend import Store, TypeRecord
from aiojobs_engine.runtime.registry import JobRegistry


async def publish(
    store: Store,
    registry: JobRegistry,
    options: Mapping[str, Resolved],
    settings: Settings,
    queues: Sequence[str],
) -> None:
    """Make the types known, and let the limits hold that code and configuration say, and none besides."""
    await store.publish(
        [
            TypeRecord(
                name=name,
                kind=job_type.kind,
                queue=options[name].queue,
                options=published(options[name]),
                schema=job_type.arguments.schema(),
            )
            for name, job_type in registry.types.items()
        ]
    )
    declared = declared_limits(options, settings.queues, queues)
    stored = [record.limit for record in await store.limits()]
    if changed := changed_limits(declared, stored):
        await store.set_limits(changed)
