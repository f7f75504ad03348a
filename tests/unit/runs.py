"""Runs as the parts of a worker see them."""

from typing import Any

import msgspec

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.options import resolve
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Claim, Lease
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.registry import JobRegistry, JobType
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.testing.clock import ManualClock


def job_type(clock: ManualClock | None = None, **options: Any) -> JobType[..., Any]:
    """A type whose handler does nothing."""
    registry = JobRegistry(clock or ManualClock())

    @registry.job(name="work", **options)
    async def work(ctx: JobContext) -> Any: ...

    return work


def claim(
    job_id: str = "job", *, token: int = 1, envelope: dict[str, Any] | None = None, **fields: Any
) -> Claim:
    """A claimed job of the type `work`."""
    given: dict[str, Any] = {"type": "work", "payload": msgspec.Raw(b"{}"), **(envelope or {})}
    stored = Envelope(id=job_id, created_at=Instant(1_000), **given)
    facts: dict[str, Any] = {
        "attempts": 0,
        "crashes": 0,
        "epoch": 0,
        "started_at": Instant(2_000),
        "counters": Counters(),
        **fields,
    }
    return Claim(envelope=stored, lease=Lease(job_id, stored.queue, token), **facts)


def run(job_id: str = "job", *, settings: Settings | None = None, options: Any = None, **fields: Any) -> Run:
    """A run of `claim(...)`; `options` are those of its type."""
    kind = job_type(**(options or {}))
    resolved = resolve("work", "job", kind.decorated, settings or Settings())
    return Run(claim(job_id, **fields), kind, resolved, 0.0)
