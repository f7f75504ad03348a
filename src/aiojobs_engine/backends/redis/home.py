"""One home of jobs: its scripts, the time they take, and what becomes of the events that they store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from aiojobs_engine.backends.redis.bell import Bell
from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.keys import PLACE_BITS, Lane, home_key
from aiojobs_engine.backends.redis.new_jobs import Lanes
from aiojobs_engine.backends.redis.rows import pack
from aiojobs_engine.backends.redis.script import load
from aiojobs_engine.core.envelope import VERSION
from aiojobs_engine.core.events import JobCreated, JobEvent, Pick, pick_events
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.ports.clock import Clock

Sink = Callable[[Sequence[JobEvent]], None]

_WATCHES = 64
_BOOT_MS = 2**44
_boots_seen: WeakKeyDictionary[Clock, list[str]] = WeakKeyDictionary()
_lane = msgspec.json.Decoder(Lane).decode


class Times:
    """What scripts are told of the time: nothing, for they take the server's, unless a test sets a clock."""

    def __init__(self, clock: Clock | None) -> None:
        """Take `clock` instead of the server's; each of its boots begins after all instants of the last."""
        self._clock = clock

    def now(self) -> tuple[int | str, int | str]:
        """The wall clock and the clock of leases."""
        if self._clock is None:
            return "", ""
        boot_id, since = self._clock.boot()
        boots = _boots_seen.setdefault(self._clock, [])
        if boot_id not in boots:
            boots.append(boot_id)
        return self._clock.now(), boots.index(boot_id) * _BOOT_MS + since


class Home:
    """A hash tag, and the client that leads to it.

    Attributes:
        mark: what stands above the places of its jobs in leases: the number of the home.
        ending: what ends the ids of its events: nothing in the first home, `-` and its number in others.
        changes: how many answers to this process told of a change.
        classes: the events that the sink wants.
    """

    def __init__(
        self,
        client: Client,
        bell: Bell,
        *,
        times: Times,
        max_events: int,
        tag: str | None = None,
        number: int = 0,
    ) -> None:
        """Touch nothing; without a tag of its own it is the first or the only home of its prefix."""
        self.client = client
        self.bell = bell
        self.key = home_key(client.address.prefix, tag)
        self.mark = number << PLACE_BITS
        self.ending = f"-{number}" if number else ""
        self.prefix = self.key.removesuffix("meta")
        self.lanes = Lanes()
        self.changes = 0
        self.sink: Sink | None = None
        self.pick: Pick | None = None
        self.classes: tuple[type[JobEvent], ...] = (JobEvent,)
        self._times = times
        self._max_events = max_events
        self._known: dict[str, Lane] = {}
        self._watched: dict[Watch, tuple[int, list[tuple[str, str, str]]]] = {}

    def run(self, name: str, request: object = None, bodies: Sequence[bytes] = ()) -> Awaitable[Any]:
        """The reply of the script `name`."""
        now, elapsed = self._times.now()
        tell = 0 if self.sink is None else 1
        arguments = (now, elapsed, self._max_events, tell, pack(request), *bodies)
        return self.client.call(load(name), (self.key,), arguments)

    def tell(self, name: str, request: object) -> None:
        """Run the script `name` once, if the server can be reached at once; what it does is only a hint."""
        now, elapsed = self._times.now()
        arguments = (now, elapsed, self._max_events, 0, pack(request))
        self.client.tell(load(name), (self.key,), arguments)

    async def write(self, name: str, request: object, bodies: Sequence[bytes] = ()) -> Any:
        """The reply of a script that begins its answer with the entry of its events, without that."""
        entry, *rest = await self.run(name, request, bodies)
        self.told(entry)
        return rest[0] if len(rest) == 1 else rest

    def hears(self, kind: type[JobEvent]) -> bool:
        """Whether there is a sink that wants events of this class."""
        return self.sink is not None and issubclass(kind, self.classes)

    def told(self, entry: Sequence[bytes] | None, *, is_all_new: bool = False) -> None:
        """Hand the events of an entry of the stream to the tap; `is_all_new` when each is a `JobCreated`."""
        if not entry:
            return
        self.changes += 1
        if self.sink is None or (is_all_new and not self.hears(JobCreated)):
            return
        place, body = entry
        if not body:
            return
        entry_id = place.decode()
        events = pick_events(body, self.pick, lambda index: f"{entry_id}-{index}{self.ending}")
        if events:
            self.sink(events)

    def watched(self, watch: Watch) -> tuple[int, list[tuple[str, str, str]]]:
        """How many lanes are known, and those that `watch` may claim from, with queue and type."""
        chosen = self._watched.get(watch)
        if chosen is None:
            queues, types = set(watch.queues), set(watch.types)
            found = [
                (name, lane.queue, lane.type)
                for name, lane in self._known.items()
                if lane.queue in queues and lane.type in types and lane.v <= VERSION
            ]
            if len(self._watched) >= _WATCHES:
                self._watched.clear()
            chosen = self._watched[watch] = (len(self._known), found)
        return chosen

    def learn(self, lanes: Sequence[bytes]) -> None:
        """Take in all lanes, as names and JSON in turn."""
        self._known = {name.decode(): _lane(text) for name, text in zip(lanes[::2], lanes[1::2], strict=True)}
        self._watched = {}


def instant(value: bytes) -> Instant:
    """An instant as scripts answer it."""
    return Instant(int(value))
