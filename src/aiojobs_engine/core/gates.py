"""Limits, and what one claim may take under them: decided before the claim, so that nothing is given back."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.rates import RateLimit, RateState, opens_at, room, taken

Origin = Literal["code", "desk", "breaker"]


class Group(NamedTuple):
    """Whom a limit is for: the jobs of a queue, those of one `type` in it, or each key of that type."""

    queue: str
    type: str = ""
    by_key: bool = False


class Limit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs may run at once, and how many may start in a time.

    Attributes:
        queue: the queue. Limits end at its border: the same type in another queue has its own.
        type: the type in that queue; "" is the whole queue.
        by_key: the limit holds for each key of the type by itself.
        concurrency: the most that run at once, at least 0; None is no bound.
        rate: how much may start; None is no bound.
        closed_until: nothing starts before this instant.
        origin: `code` comes from decorators and configuration, `desk` was set at run time and wins over it,
            `breaker` holds beside both.
    """

    queue: str
    type: str = ""
    by_key: bool = False
    concurrency: int | None = None
    rate: RateLimit | None = None
    closed_until: Instant | None = None
    origin: Origin = "desk"

    @property
    def group(self) -> Group:
        """Whom it is for."""
        return Group(self.queue, self.type, self.by_key)

    @property
    def is_empty(self) -> bool:
        """Whether it limits nothing."""
        return self.concurrency is None and self.rate is None and self.closed_until is None


def in_force(limits: Iterable[Limit]) -> dict[Group, Limit]:
    """What holds for each group: what the desk set, else the code; the breaker's beside it."""
    found: dict[Group, Limit] = {}
    by_origin = {(limit.group, limit.origin): limit for limit in limits}
    for group in dict.fromkeys(group for group, _ in by_origin):
        said = by_origin.get((group, "desk")) or by_origin.get((group, "code")) or Limit(queue=group.queue)
        breaker = by_origin.get((group, "breaker"))
        caps = [each.concurrency for each in (said, breaker) if each and each.concurrency is not None]
        found[group] = Limit(
            queue=group.queue,
            type=group.type,
            by_key=group.by_key,
            concurrency=min(caps, default=None),
            rate=said.rate,
            closed_until=max(
                (each.closed_until for each in (said, breaker) if each and each.closed_until is not None),
                default=None,
            ),
        )
    return found


class Gate:
    """What one claim may still take from each group.

    Attributes:
        states: of groups with a rate, as they stand after what was taken.
        taken_from: the groups of which states have changed.
        opens_at: the first instant at which a group that is shut opens by itself; None without one.
    """

    def __init__(
        self,
        limits: Mapping[Group, Limit],
        running: Mapping[Group, int],
        states: Mapping[Group, RateState],
        now: Instant,
    ) -> None:
        """Start from the limits in force, how many jobs of each group run, and what was taken before."""
        self._limits = limits
        self._now = now
        self._slots = {
            group: limit.concurrency - running.get(group, 0)
            for group, limit in limits.items()
            if limit.concurrency is not None and not group.by_key
        }
        self.states = dict(states)
        self.taken_from: set[Group] = set()
        self.opens_at: Instant | None = None
        self._shut: set[Group] = set()
        for group, limit in limits.items():
            if group.by_key:
                continue
            if limit.closed_until is not None and limit.closed_until > now:
                self._shut.add(group)
                self._note(limit.closed_until)
            elif self._slots.get(group, 1) <= 0:
                self._shut.add(group)

    def is_open(self, queue: str, type: str) -> bool:
        """Whether a job of cost 1 may start, as far as it is known."""
        return not self._shut or not (Group(queue) in self._shut or Group(queue, type) in self._shut)

    def take(self, queue: str, type: str, cost: int) -> bool:
        """Count a job that is about to start; False shuts the groups that have no room for it."""
        groups = [group for group in (Group(queue), Group(queue, type)) if group in self._limits]
        if any(group in self._shut for group in groups):
            return False
        short = [group for group in groups if not self._has_room(group, cost)]
        if short:
            self._shut.update(short)
            return False
        for group in groups:
            rate = self._limits[group].rate
            if rate is not None:
                self.states[group] = taken(rate, self._state(group), cost, self._now)
                self.taken_from.add(group)
            if group in self._slots:
                self._slots[group] -= 1
                if self._slots[group] <= 0:
                    self._shut.add(group)
        return True

    def _has_room(self, group: Group, cost: int) -> bool:
        rate = self._limits[group].rate
        if rate is None or room(rate, self._state(group), self._now) >= min(cost, rate.capacity):
            return True
        self._note(opens_at(rate, self._state(group), cost, self._now))
        return False

    def _state(self, group: Group) -> RateState:
        return self.states.get(group) or RateState()

    def _note(self, at: Instant) -> None:
        self.opens_at = at if self.opens_at is None else min(self.opens_at, at)


class Admitted(NamedTuple):
    """How many of a key's pending jobs may be claimed, in order, and when to look again without a change."""

    most: int
    again_at: Instant | None


def admitted(limit: Limit | None, running: int, state: RateState, costs: list[int], now: Instant) -> Admitted:
    """How many of the pending jobs of a key, of which `costs` are those of the first, may be claimed."""
    if limit is None:
        return Admitted(len(costs), None)
    if limit.closed_until is not None and limit.closed_until > now:
        return Admitted(0, limit.closed_until)
    most = len(costs) if limit.concurrency is None else min(len(costs), max(0, limit.concurrency - running))
    if limit.rate is None:
        return Admitted(most, None)
    for number, cost in enumerate(costs[:most]):
        at = opens_at(limit.rate, state, cost, now)
        if at > now:
            return Admitted(number, at)
        state = taken(limit.rate, state, cost, now)
    if running == 0 and not costs and state.starts == [] and state.until <= now:
        return Admitted(0, None)
    return Admitted(most, None if costs else _idle_at(limit.rate, state, now))


def _idle_at(rate: RateLimit, state: RateState, now: Instant) -> Instant:
    """When the state of a key that has nothing pending may be forgotten."""
    return opens_at(rate, state, rate.capacity, now) if state.starts or state.until > now else now
