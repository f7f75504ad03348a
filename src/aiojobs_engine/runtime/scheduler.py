"""The scheduler, in every worker, without a leader: it fires what is due; the store says who was first."""

import logging
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.schedule import Schedule, delay_of, fire_id
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.cron import (
    ON_TIME,
    CronEntry,
    CronRecord,
    CronStore,
    Fire,
    FireOutcome,
    due_job,
)
from aiojobs_engine.runtime.observing import Observing

logger = logging.getLogger(__name__)

_LONGEST_SLEEP = 1.0
_ANNOUNCE_EVERY = 30.0
_BATCH = 500
_UNKNOWN = -1


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
            ats = made_up if len(made_up) >= _BATCH else [*made_up, *on_time]
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
        while at is not None and at <= until and len(ats) < _BATCH:
            ats.append(at)
            at = self.schedule.next_fire(at)
        return ats

    def _fire(self, at: Instant, now: Instant, *, missed_from: Instant | None) -> Fire:
        name = self.entry.name
        delay = delay_of(name, at, self.entry.spec.jitter)
        job = due_job(self.entry, fire_id(name, at), now, max(0, at + delay - now) if delay else 0)
        return Fire(name=name, revision=self.revision, at=at, job=job, missed_from=missed_from)


class Scheduler:
    """Follows the entries of a store, and fires them.

    Attributes:
        broken: entries that can't be fired on this machine, and why, by name.
    """

    def __init__(
        self,
        store: CronStore,
        clock: Clock,
        *,
        own: Sequence[CronEntry] = (),
        environment: str | None = None,
        observing: Observing | None = None,
    ) -> None:
        """Follow the entries that were added at run time, and of those in code the `own` ones."""
        self._store = store
        self._clock = clock
        self._own = tuple(own)
        self._revisions = {entry.name: entry.revision for entry in own}
        self._environment = environment
        self._observing = observing or Observing()
        self._version = _UNKNOWN
        self._followed: dict[str, Scheduled] = {}
        self._heap: list[tuple[Instant, str]] = []
        self._announced_at = float("-inf")
        self.broken: dict[str, str] = {}

    async def announce(self, *, takes_over: bool = True) -> None:
        """Make the own entries known; with `takes_over` they replace older code of the same names."""
        self._announced_at = self._clock.monotonic()
        if not self._own:
            return
        answers = await self._store.put_crons(self._own, takes_over=takes_over)
        for entry, is_taken in zip(self._own, answers, strict=True):
            if not is_taken and takes_over:
                logger.error(
                    "cron entry %s was added at run time, so the one in code doesn't fire", entry.name
                )

    async def run(self) -> None:
        """Fire until cancelled; changed entries count within a second."""
        while True:
            if self._clock.monotonic() - self._announced_at >= _ANNOUNCE_EVERY:
                await self.announce(takes_over=False)
            next_at = await self.tick()
            pause = _LONGEST_SLEEP
            if next_at is not None:
                pause = min(pause, max(0.001, (next_at - self._clock.now()) / 1000))
            await self._clock.sleep(pause)

    async def tick(self) -> Instant | None:
        """Fire all that is due now; the instant of the next fire, None without one. May be repeated."""
        await self._look()
        while fires := self._due(self._clock.now()):
            tracing = self._observing.tracing()
            firing = None if tracing is None else tracing.fire(fires)
            try:
                answers = await self._store.fire(fires if firing is None else firing.fires)
            except BaseException:
                self._version = _UNKNOWN  # whether they fired is open, so the entries are read anew
                raise
            if firing is not None:
                firing.end(answers)
            for fire, answer in zip(fires, answers, strict=True):
                self._take_in(fire, answer.outcome, answer.settled_to)
        while self._heap and not self._is_valid(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    async def _look(self) -> None:
        """Read the entries when they have changed."""
        version = await self._store.crons_version()
        if version == self._version:
            return
        records = await self._store.crons()
        self._followed = {}
        problems: dict[str, str] = {}
        for record in records:
            if not record.is_enabled or not self._is_ours(record):
                continue
            try:
                self._followed[record.entry.name] = Scheduled(record)
            except ConfigError as error:
                problems[record.entry.name] = str(error)
        for name, problem in problems.items():
            if self.broken.get(name) != problem:
                logger.error("cron entry %s doesn't fire here: %s", name, problem)
        self.broken = problems
        self._heap = [
            (entry.next_at, name) for name, entry in self._followed.items() if entry.next_at is not None
        ]
        heapify(self._heap)
        self._version = version

    def _is_ours(self, record: CronRecord) -> bool:
        entry = record.entry
        if entry.environments and self._environment not in entry.environments:
            return False
        return not entry.is_code or self._revisions.get(entry.name) == record.revision

    def _due(self, now: Instant) -> list[Fire]:
        fires: list[Fire] = []
        while self._heap and self._heap[0][0] <= now and len(fires) < _BATCH:
            head = heappop(self._heap)
            if self._is_valid(head):
                fires += self._followed[head[1]].due(now)
        return fires

    def _is_valid(self, head: tuple[Instant, str]) -> bool:
        followed = self._followed.get(head[1])
        return followed is not None and followed.next_at == head[0]

    def _take_in(self, fire: Fire, outcome: FireOutcome, settled_to: Instant) -> None:
        followed = self._followed.get(fire.name)
        if followed is None:
            return
        if outcome is FireOutcome.REFUSED:
            del self._followed[fire.name]
            self._version = _UNKNOWN
            return
        if outcome is FireOutcome.FIRED:
            logger.debug("cron entry %s fired for %s", fire.name, moment(fire.at))
            lag = max(0, self._clock.now() - fire.at) / 1000
            for observer in self._observing.observers:
                observer.fired(fire.name, lag)
        followed.move(max(settled_to, followed.settled_to))
        if followed.next_at is not None:
            heappush(self._heap, (followed.next_at, fire.name))
