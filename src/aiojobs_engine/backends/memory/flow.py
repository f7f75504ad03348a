"""Limits and fair turns of the memory store."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.backends.memory.shelf import Shelf
from aiojobs_engine.core.fairness import SPAN, turns
from aiojobs_engine.core.gates import Gate, Group, Limit, Origin, admitted, in_force
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.rates import RateState, room, taken
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.flow import LimitRecord

_STEP = 1 << 96


class LineKey(NamedTuple):
    """The jobs of one key of a type in a queue."""

    queue: str
    type: str
    key: str

    @property
    def group(self) -> Group:
        """The limit that holds for them."""
        return Group(self.queue, self.type, by_key=True)


class Line:
    """The pending jobs of a key: those that may be claimed, and those that are held back."""

    __slots__ = ("again_at", "open", "parked", "running", "state")

    def __init__(self) -> None:
        self.open: dict[str, StoredJob] = {}
        self.parked = Shelf()
        self.running = 0
        self.state = RateState()
        self.again_at: Instant | None = None


class Moves(NamedTuple):
    """What a look at a line changes: jobs to let be claimed, and jobs to hold back."""

    let: list[StoredJob]
    hold: list[StoredJob]


class Flow:
    """All that holds jobs back or orders them."""

    def __init__(self) -> None:
        """Limit nothing."""
        self.stored: dict[tuple[Group, Origin], Limit] = {}
        self.limits: dict[Group, Limit] = {}
        self.lines: dict[LineKey, Line] = {}
        self._states: dict[Group, RateState] = {}
        self._again: list[tuple[Instant, LineKey]] = []
        self._clocks: dict[tuple[str, int], int] = {}
        self._ends: defaultdict[tuple[str, int], dict[str, int]] = defaultdict(dict)

    def gate(self, running: Sequence[StoredJob], now: Instant) -> Gate | None:
        """What a claim may take; None when nothing limits it."""
        return Gate(self.limits, _count(running), self._states, now) if self.limits else None

    def passed(self, gate: Gate | None) -> None:
        """Keep what a claim took from rates."""
        if gate is not None:
            self._states |= {group: gate.states[group] for group in gate.taken_from}

    def set(self, limits: Sequence[Limit]) -> list[LineKey]:
        """Store limits; the lines to look at."""
        for limit in limits:
            self.stored.pop((limit.group, limit.origin), None)
            if not limit.is_empty:
                self.stored[limit.group, limit.origin] = limit
        self.limits = in_force(self.stored.values())
        groups = {limit.group for limit in limits}
        return [key for key in self.lines if key.group in groups]

    def records(self, running: Sequence[StoredJob], now: Instant) -> list[LimitRecord]:
        """All limits as they stand."""
        counts = _count(running)
        return [
            LimitRecord(
                limit=limit,
                in_force=origin != "code" or (group, "desk") not in self.stored,
                running=counts[Group(group.queue, group.type)],
                room=None
                if limit.rate is None or group.by_key
                else room(limit.rate, self._states.get(group) or RateState(), now),
            )
            for (group, origin), limit in sorted(self.stored.items())
        ]

    def order(self, job: StoredJob) -> None:
        """Give a job that is pending its turn, and the number that orders it before its place."""
        if job.turn is None:
            job.turn = self._turn(job) if job.envelope.fair_key is not None else SPAN * job.place
        job.number = job.turn - job.envelope.priority * _STEP

    def started(self, job: StoredJob, now: Instant) -> None:
        """Note that a job runs."""
        envelope = job.envelope
        if envelope.fair_key is not None and job.turn is not None:
            queue = (envelope.queue, envelope.priority)
            self._clocks[queue] = max(self._clocks.get(queue, 0), job.turn)
        if (key := line_of(job)) is not None:
            line = self.lines.setdefault(key, Line())
            line.running += 1
            limit = self.limits.get(key.group)
            if limit is not None and limit.rate is not None:
                line.state = taken(limit.rate, line.state, envelope.cost, now)

    def due(self, now: Instant) -> list[LineKey]:
        """The lines to look at because their time has come."""
        found: list[LineKey] = []
        while self._again and self._again[0][0] <= now:
            at, key = heappop(self._again)
            line = self.lines.get(key)
            if line is not None and line.again_at == at:
                line.again_at = None
                found.append(key)
        return found

    def opening(self) -> Instant | None:
        """When the next line is to be looked at."""
        return self._again[0][0] if self._again else None

    def look(self, key: LineKey, now: Instant) -> Moves:
        """Which jobs of a key may be claimed from now on, and which no more."""
        line = self.lines.get(key)
        if line is None:
            return Moves([], [])
        limit = self.limits.get(key.group)
        first = list(line.open.values())
        for _ in range(_most(limit, line)):
            if (head := line.parked.first()) is None:
                break
            line.parked.take(head[2])
            first.append(head[2])
        first.sort(key=lambda job: (job.number, job.place))
        count, again = admitted(limit, line.running, line.state, [job.envelope.cost for job in first], now)
        let = [job for job in first[:count] if job.id not in line.open]
        hold = [job for job in first[count:] if job.id in line.open]
        for job in first[count:]:
            line.parked.put(job, job.number)
        line.open = {job.id: job for job in first[:count]}
        line.again_at = again
        if again is not None:
            heappush(self._again, (again, key))
        elif not (line.open or line.parked or line.running):
            del self.lines[key]
        return Moves(let, hold)

    def forget_ended_turns(self) -> None:
        """Drop what the clocks have passed."""
        for queue, ends in self._ends.items():
            clock = self._clocks.get(queue, 0)
            self._ends[queue] = {key: end for key, end in ends.items() if end > clock}

    def _turn(self, job: StoredJob) -> int:
        envelope = job.envelope
        queue = (envelope.queue, envelope.priority)
        clock = self._clocks.setdefault(queue, SPAN * (job.place - 1))
        (turn,) = turns(clock, self._ends[queue], [(envelope.fair_key or "", envelope.fair_weight)])
        return turn


def line_of(job: StoredJob) -> LineKey | None:
    """The line of a job, None of one that has no key."""
    envelope = job.envelope
    return None if envelope.limit_key is None else LineKey(envelope.queue, envelope.type, envelope.limit_key)


def _most(limit: Limit | None, line: Line) -> int:
    if limit is None:
        return len(line.parked)
    slots = len(line.parked) if limit.concurrency is None else max(0, limit.concurrency - line.running)
    return slots if limit.rate is None else min(slots, limit.rate.capacity)


def _count(running: Sequence[StoredJob]) -> Counter[Group]:
    counts: Counter[Group] = Counter()
    for job in running:
        if job.status is Status.PROCESSING:
            counts[Group(job.envelope.queue)] += 1
            counts[Group(job.envelope.queue, job.envelope.type)] += 1
    return counts
