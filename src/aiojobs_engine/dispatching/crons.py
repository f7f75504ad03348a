"""Cron entries in the form that a store keeps: with the job that each fire dispatches."""

from typing import Any

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.job import Job
from aiojobs_engine.dispatching.templates import Templates
from aiojobs_engine.ports.cron import CronEntry
from aiojobs_engine.runtime.plans import CronPlan, Timing
from aiojobs_engine.runtime.registry import JobRegistry

_ANY_ID = "cron"


def entries_in_code(registry: JobRegistry, templates: Templates) -> list[CronEntry]:
    """The entries of a registry, with the options that hold for their job types now."""
    return [entry_in_code(plan, registry, templates) for plan in registry.crons.values()]


def entry_in_code(plan: CronPlan, registry: JobRegistry, templates: Templates) -> CronEntry:
    """One entry of a registry.

    Raises:
        PayloadTooLarge: its arguments take more than `limits.payload_bytes`.
    """
    job_type = registry.get(plan.type)
    job: Job[Any] = Job(id=_ANY_ID, type=plan.type, kind=job_type.kind, payload=plan.payload, options={})
    envelope = templates.envelope(job)
    if envelope is None:
        raise LookupError(f"the registered type {plan.type!r} has no template")
    return entry(plan.name, plan.timing, envelope, is_code=True)


def entry(name: str, timing: Timing, envelope: Envelope, *, is_code: bool = False) -> CronEntry:
    """An entry whose fires dispatch what `envelope` would, its times counted from each fire."""
    return CronEntry(
        name=name,
        spec=timing.spec,
        job=_prototype(envelope),
        missed=timing.missed,
        missed_within=timing.missed_within,
        overlap=timing.overlap,
        environments=timing.environments,
        depends_on=timing.depends_on,
        is_code=is_code,
    )


def _prototype(envelope: Envelope) -> Envelope:
    made_at, due, expires = envelope.created_at, envelope.scheduled_at, envelope.expires_at
    return msgspec.structs.replace(
        envelope,
        id="",
        created_at=Instant(0),
        scheduled_at=None if due is None else Instant(due - made_at),
        expires_at=None if expires is None else Instant(expires - made_at),
    )
