"""Cron entries and their fires as people see them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from aiojobs_engine.core.cron_order import circle_fault, circle_of
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.schedule import Schedule
from aiojobs_engine.core.state import Status
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.cron import UNSEEN_AFTER, CronEntry, CronFire, CronRecord

LATE_SECONDS = 60.0
"""A fire that nobody has come to for so long is late."""


class CronRun(msgspec.Struct, frozen=True, kw_only=True):
    """A fire of an entry.

    Attributes:
        at: the instant of the schedule.
        fired_at: when a scheduler came to it.
        outcome: `fired`, `skipped` (a job of an earlier fire had not ended, or see `waits_for`), `missed`
            (passed over by the policy for missed fires) or `by_hand`.
        job_id: None of a fire that stored no job.
        status: where that job stands, None without one, or when it was pruned.
        missed_from: the first instant that was passed over before this one, None without any.
        waits_for: the entry for want of which it was skipped, None of all others.
    """

    at: datetime
    fired_at: datetime
    outcome: str
    job_id: str | None
    status: Status | None
    missed_from: datetime | None
    waits_for: str | None = None


class CronStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An entry at one read.

    Attributes:
        expression: with nicknames spelled out.
        type: the job type that it fires, into `queue`.
        enabled: whether it fires.
        in_code: it stands in the code of workers; others were added at run time.
        next_at: the instant of the next fire, None when it is disabled or no fire is to come.
        last: the newest of its history, None without one.
        late: a fire is more than a minute overdue.
        depends_on: the entries of which the newest fires have to complete first.
        problem: why it can't be fired on this machine, or is skipped; None when nothing is wrong.
    """

    name: str
    expression: str
    tz: str
    type: str
    queue: str
    enabled: bool
    in_code: bool
    missed: str
    overlap: str
    environments: tuple[str, ...]
    next_at: datetime | None
    last: CronRun | None
    late: bool
    problem: str | None
    depends_on: tuple[str, ...] = ()


async def statuses(
    session: Session, records: Mapping[str, CronRecord], names: Collection[str] | None = None
) -> list[CronStatus]:
    """Stored entries as people see them: those of `names`, all without; `records` are all by name."""
    chosen = [record for name, record in records.items() if names is None or name in names]
    last = [record.last for record in chosen if record.last is not None]
    shown = dict(zip([fire.name for fire in last], await runs(session, last), strict=True))
    now = session.clock.now()
    return [
        _status(record, shown.get(record.entry.name), now, _held_back(record.entry, records))
        for record in chosen
    ]


async def runs(session: Session, fires: Sequence[CronFire]) -> list[CronRun]:
    """Fires as people see them, with the status of their jobs."""
    ids = [fire.job_id for fire in fires if fire.job_id is not None]
    known = {job.id: job.status for job in await session.store.get(ids) if job is not None}
    return [
        CronRun(
            at=moment(fire.at),
            fired_at=moment(fire.fired_at),
            outcome=str(fire.outcome),
            job_id=fire.job_id,
            status=known.get(fire.job_id or ""),
            missed_from=None if fire.missed_from is None else moment(fire.missed_from),
            waits_for=fire.waits_for,
        )
        for fire in fires
    ]


def _held_back(found: CronEntry, known: Mapping[str, CronRecord]) -> str | None:
    """Why what an entry depends on lets it not fire, in words; None when nothing is wrong."""
    for former in found.depends_on:
        if former not in known:
            return f"it waits for {former!r}, which is no entry"
        if not known[former].is_enabled:
            return f"it waits for {former!r}, which is disabled"
    circle = circle_of(found.name, {name: record.entry.depends_on for name, record in known.items()})
    return circle_fault(circle) if circle else None


def _status(record: CronRecord, last: CronRun | None, now: Instant, problem: str | None) -> CronStatus:
    found, next_at = record.entry, None
    try:
        next_at = Schedule(found.spec).next_fire(record.settled_to) if record.is_enabled else None
    except ConfigError as error:
        problem = str(error)
    is_followed = not found.is_code or record.seen_at > now - UNSEEN_AFTER * 1000
    is_late = next_at is not None and is_followed and next_at < now - LATE_SECONDS * 1000
    return CronStatus(
        name=found.name,
        expression=found.spec.expression,
        tz=found.spec.tz,
        type=found.job.type,
        queue=found.job.queue,
        enabled=record.is_enabled,
        in_code=found.is_code,
        missed=found.missed,
        overlap=found.overlap,
        environments=found.environments,
        next_at=None if next_at is None else moment(next_at),
        last=last,
        late=is_late,
        problem=problem,
        depends_on=found.depends_on,
    )
