"""The scheduler, in every worker, without a leader: it fires what is due; the store says who was first."""

import logging
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from aiojobs_engine.core.cron_order import circle_fault, circle_of
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.cron import CronEntry, CronRecord, Fire, FireOutcome
from aiojobs_engine.runtime.cron_order import BATCH, FireStore, Formers, Scheduled
from aiojobs_engine.runtime.observing import Observing

logger = logging.getLogger(__name__)

_LONGEST_SLEEP = 1.0
_IDLE_SLEEP = 5.0
_ANNOUNCE_EVERY = 30.0
_UNKNOWN = -1


class Scheduler:
    """Follows the entries of a store, and fires them.

    Attributes:
        broken: entries that can't be fired on this machine, and why, by name.
    """

    def __init__(
        self,
        store: FireStore,
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
        self._known: dict[str, Scheduled | None] = {}
        self._heap: list[tuple[Instant, str]] = []
        self._later: list[tuple[Instant, str]] = []
        self._announced_at = float("-inf")
        self._is_used = False
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
        """Fire until cancelled; changed entries count within a second, the first of a store within five."""
        while True:
            if self._clock.monotonic() - self._announced_at >= _ANNOUNCE_EVERY:
                await self.announce(takes_over=False)
            next_at = await self.tick()
            pause = _LONGEST_SLEEP if self._is_used else _IDLE_SLEEP
            if next_at is not None:
                pause = min(pause, max(0.001, (next_at - self._clock.now()) / 1000))
            await self._clock.sleep(pause)

    async def tick(self) -> Instant | None:
        """Fire all that is due now; the instant of the next fire, None without one. May be repeated."""
        await self._look()
        for head in self._later:
            heappush(self._heap, head)
        self._later = []
        try:
            while fires := await self._due(self._clock.now()):
                await self._fire(fires)
        except BaseException:
            self._version = _UNKNOWN  # whether they fired is open, so the entries are read anew
            raise
        while self._heap and not self._is_valid(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    async def _fire(self, fires: list[Fire]) -> None:
        tracing = self._observing.tracing()
        firing = None if tracing is None else tracing.fire(fires)
        answers = await self._store.fire(fires if firing is None else firing.fires)
        if firing is not None:
            firing.end(answers)
        for fire, answer in zip(fires, answers, strict=True):
            self._take_in(fire, answer.outcome, answer.settled_to)

    async def _look(self) -> None:
        """Read the entries when they have changed."""
        version = await self._store.crons_version()
        if version == self._version:
            return
        records = await self._store.crons()
        self._is_used = bool(records)
        self._followed = {}
        problems: dict[str, str] = {}
        depends_on = {record.entry.name: record.entry.depends_on for record in records}
        awaited = {former for formers in depends_on.values() for former in formers}
        self._known = dict.fromkeys(awaited)
        self._later = []
        for record in records:
            name, is_ours = record.entry.name, self._is_ours(record)
            if not record.is_enabled or not (is_ours or name in awaited):
                continue
            try:
                if circle := circle_of(name, depends_on):
                    raise ConfigError(circle_fault(circle))  # noqa: TRY301 - as one that can't be used
                if name in awaited:
                    self._known[name] = Scheduled(record)
                if is_ours:
                    self._followed[name] = Scheduled(record)
            except ConfigError as error:
                self._known.pop(name, None)
                problems[name] = str(error)
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

    async def _due(self, now: Instant) -> list[Fire]:
        """What to ask for at `now`; what depends on other entries comes when those have been asked for."""
        fires: list[Fire] = []
        dependents: list[tuple[Instant, str]] = []
        while self._heap and self._heap[0][0] <= now and len(fires) < BATCH:
            head = heappop(self._heap)
            if not self._is_valid(head):
                continue
            followed = self._followed[head[1]]
            if followed.entry.depends_on:
                dependents.append(head)
            else:
                fires += followed.due(now)
        if fires or not dependents:
            for head in dependents:
                heappush(self._heap, head)
            return fires
        return await self._due_behind(dependents, now)

    async def _due_behind(self, dependents: Sequence[tuple[Instant, str]], now: Instant) -> list[Fire]:
        """The fires of entries that depend on others, as far as those are settled; the rest comes later."""
        formers = Formers(self._store, self._known)
        fires: list[Fire] = []
        for head in dependents:
            followed = self._followed[head[1]]
            bound = await formers.bind(followed.due(now), followed.entry.depends_on)
            if bound and len(fires) < BATCH:
                fires += bound
            elif bound:
                heappush(self._heap, head)
            else:
                self._later.append(head)
        for head in self._later if fires else ():
            heappush(self._heap, head)
        if fires:
            self._later = []
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
