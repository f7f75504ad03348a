"""What a worker tells the store about itself: its job types, so that others dispatch them by name."""

from collections.abc import Mapping

from aiojobs_engine.core.options import Resolved, published
from aiojobs_engine.ports.control import TypeRecord
from aiojobs_engine.runtime.registry import JobRegistry


def type_records(registry: JobRegistry, options: Mapping[str, Resolved]) -> list[TypeRecord]:
    """The job types of a registry with their resolved options, as they are published."""
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
