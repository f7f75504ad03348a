"""The fires of one entry, and how those of entries that depend on others wait for them."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import Need
from aiojobs_engine.core.schedule import Schedule, delay_of, fire_id
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.ports.cron import (
    HISTORY_KEPT,
    ON_TIME,
    CronFire,
    CronRecord,
    CronStore,
    Fire,
    FireOutcome,
    due_job,
)
from aiojobs_engine.ports.inspector import Inspector

BATCH = 500
"""Fires that are asked for at once."""


class FireStore(CronStore, Inspector, Protocol):
    """What a scheduler asks of a store."""


class Scheduled:
    """An entry that a scheduler follows.

    Attributes:
        settled_to: up to where the entry is settled, as far as is known here.
        next_at: the next instant to fire, None when there is none.
    """

    __slots__ = ("entry", "next_at", "revision", "schedule", "settled_to")

    def __init__(self, record: CronRecord) -> None:
        """Follow a stored entry.

        Raises:
            ConfigError: its expression or time zone can't be used on this machine.
        """
        self.entry = record.entry
        self.revision = record.revision
        self.schedule = Schedule(record.entry.spec)
        self.move(record.settled_to)

    def move(self, settled_to: Instant) -> None:
        """Go on behind `settled_to`."""
        self.settled_to = settled_to
        self.next_at = self.schedule.next_fire(settled_to)

    def owes(self, until: Instant) -> bool:
        """Whether an instant up to `until` is not settled, as far as is known here."""
        return self.next_at is not None and self.next_at <= until

    def due(self, now: Instant) -> list[Fire]:
        """The fires to ask for at `now`, in order; they settle all that is due, or the first part of it."""
        first = self.next_at
        if first is None or first > now:
            return []
        border = Instant(now - round(ON_TIME * 1000))
        if first > border:
            ats = self._between(Instant(first - 1), now)
        else:
            on_time = self._between(border, now)
            made_up = self._made_up(border, now, has_on_time=bool(on_time))
            ats = made_up if len(made_up) >= BATCH else [*made_up, *on_time]
        if ats:
            passed = None if ats[0] == first else first
            return [self._fire(at, now, missed_from=passed if at == ats[0] else None) for at in ats]
        newest = self.schedule.newest_fire(self.settled_to, border) or first
        return [Fire(name=self.entry.name, revision=self.revision, at=newest, job=None, missed_from=first)]

    def _made_up(self, border: Instant, now: Instant, *, has_on_time: bool) -> list[Instant]:
        """Of the missed instants, up to `border`, those that the policy fires."""
        entry = self.entry
        within = entry.missed_within
        oldest = Instant(0) if within is None else Instant(now - round(within * 1000))
        if entry.missed == "all":
            return self._between(Instant(max(self.settled_to, oldest - 1)), border)
        if entry.missed == "skip" or has_on_time:
            return []
        newest = self.schedule.newest_fire(self.settled_to, border)
        return [newest] if newest is not None and newest >= oldest else []

    def _between(self, after: Instant, until: Instant) -> list[Instant]:
        """The first instants later than `after` and not later than `until`."""
        ats: list[Instant] = []
        at = self.schedule.next_fire(after)
        while at is not None and at <= until and len(ats) < BATCH:
            ats.append(at)
            at = self.schedule.next_fire(at)
        return ats

    def _fire(self, at: Instant, now: Instant, *, missed_from: Instant | None) -> Fire:
        name = self.entry.name
        delay = delay_of(name, at, self.entry.spec.jitter)
        job = due_job(self.entry, fire_id(name, at), now, max(0, at + delay - now) if delay else 0)
        return Fire(name=name, revision=self.revision, at=at, job=job, missed_from=missed_from)


class Formers:
    """What entries depend on, as it stands in the store at one look."""

    def __init__(self, store: FireStore, known: Mapping[str, Scheduled | None]) -> None:
        """`known` are they by name, None if disabled or unknown; of those left out nothing can be told."""
        self._store = store
        self._known = known
        self._histories: dict[str, list[CronFire]] = {}

    async def bind(self, fires: list[Fire], depends_on: tuple[str, ...]) -> list[Fire]:
        """The fires that can be asked for now, bound to what they wait for; the rest has to come later.

        A fire waits for the newest fire of each of `depends_on` up to its own instant. Where one has not been
        fired that is due by then, it comes later.
        """
        bound: list[Fire] = []
        for fire in fires:
            if fire.job is not None:
                for name in depends_on:
                    if not await self._is_settled(name, fire.at):
                        return bound
                fire = await self._bound(fire, depends_on)  # noqa: PLW2901
            bound.append(fire)
        return bound

    async def _is_settled(self, name: str, at: Instant) -> bool:
        """Whether all that an entry has to fire up to `at` was fired or passed over."""
        if name not in self._known:
            return False
        former = self._known[name]
        if former is None or not former.owes(at):
            return True
        by_schedule = [
            each.at for each in await self._history(name) if each.outcome is not FireOutcome.BY_HAND
        ]
        if by_schedule and by_schedule[0] > former.settled_to:
            former.move(by_schedule[0])
        return not former.owes(at)

    async def _bound(self, fire: Fire, depends_on: tuple[str, ...]) -> Fire:
        """The fire with its needs, or one that is skipped for want of a former."""
        needs: list[Need] = []
        names: list[str] = []
        for name in depends_on:
            former = await self._newest(name, fire.at)
            if former is None or former.job_id is None:
                return msgspec.structs.replace(fire, job=None, waits_for=name)
            needs.append(Need(former.job_id))
            names.append(name)
        stored = await self._store.get([need.job_id for need in needs])
        still: list[tuple[str, Need]] = []
        for name, need, former_job in zip(names, needs, stored, strict=True):
            if former_job is None or former_job.status is Status.COMPLETED:
                continue
            if former_job.status in FINAL:
                return msgspec.structs.replace(fire, job=None, waits_for=name)
            still.append((name, need))
        if fire.job is None or not still:
            return fire
        job = msgspec.structs.replace(fire.job, needs=(*fire.job.needs, *[need for _, need in still]))
        return msgspec.structs.replace(fire, job=job, waits_for=still[0][0])

    async def _newest(self, name: str, at: Instant) -> CronFire | None:
        """The newest fire of an entry that tells whether it did well by `at`; None when there is none.

        Those that were skipped because the one before went on tell nothing. What a person fired counts
        whenever it was.
        """
        if self._known.get(name) is None:
            return None
        history = await self._history(name)
        for each in history:
            is_overlap = each.outcome is FireOutcome.SKIPPED and each.waits_for is None
            if not is_overlap and (each.at <= at or each.outcome is FireOutcome.BY_HAND):
                return each
        return history[-1] if len(history) >= HISTORY_KEPT else None

    async def _history(self, name: str) -> list[CronFire]:
        if name not in self._histories:
            self._histories[name], _ = await self._store.cron_history(name, HISTORY_KEPT, None)
        return self._histories[name]
