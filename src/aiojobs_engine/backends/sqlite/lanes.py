"""What the writer knows by heart: lanes, paused queues and boots, which hardly ever change."""

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from aiojobs_engine.core.envelope import VERSION, Envelope
from aiojobs_engine.core.gates import Group, Limit, in_force
from aiojobs_engine.ports.backend import Watch

if TYPE_CHECKING:
    from aiojobs_engine.backends.sqlite.transaction import Transaction

_WATCHES = 64


class Lane(NamedTuple):
    """The jobs of one queue, type, kind and envelope version."""

    queue: str
    type: str
    kind: str
    v: int


_decode = msgspec.json.Decoder(tuple[int, list[tuple[int, Lane]], set[str], list[Limit]]).decode


class Lanes:
    """The lanes as of one version; every change of a lane, pause or limit raises the version in the store.

    Attributes:
        limits: those in force, by group.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.forget()

    def forget(self) -> None:
        """Read everything anew at the next use: what was written last may have been undone."""
        self._version = -1
        self._by_number: dict[int, Lane] = {}
        self._numbers: dict[Lane, int] = {}
        self._paused: set[str] = set()
        self.limits: dict[Group, Limit] = {}
        self._watched: dict[Watch, list[int]] = {}
        self._boots: dict[str, int] = {}

    def of(self, tx: "Transaction", number: int) -> Lane:
        """The lane of a stored job; another process may have made it since lanes were read."""
        lane = self._by_number.get(number)
        if lane is None:
            self.load(tx)
            lane = self._by_number[number]
        return lane

    def number(self, tx: "Transaction", envelope: Envelope) -> int:
        """The lane of an envelope, made when it is the first of its kind."""
        lane = Lane(envelope.queue, envelope.type, envelope.kind, envelope.v)
        number = self._numbers.get(lane)
        if number is None:
            tx.run("add_lane", queue=lane.queue, type=lane.type, kind=lane.kind, v=lane.v)
            tx.run("bump_lanes")
            self.load(tx)
            number = self._numbers[lane]
        return number

    def load(self, tx: "Transaction") -> None:
        """Read all lanes and pauses."""
        self._version, rows, self._paused, limits = _decode(tx.value("lanes"))
        self.limits = in_force(limits)
        self._by_number = dict(rows)
        self._numbers = {lane: number for number, lane in self._by_number.items()}
        self._watched = {}

    def fresh(self, tx: "Transaction", version: int) -> bool:
        """Whether what is known is of `version`; it is read anew when it isn't."""
        if version == self._version:
            return True
        self.load(tx)
        return False

    def watched(self, watch: Watch) -> list[int]:
        """The lanes that `watch` may claim from, as far as they are known."""
        chosen = self._watched.get(watch)
        if chosen is None:
            chosen = [number for number, lane in self._by_number.items() if self._is_open(lane, watch)]
            if len(self._watched) >= _WATCHES:
                self._watched.clear()
            self._watched[watch] = chosen
        return chosen

    def boot(self, tx: "Transaction", name: str) -> int:
        """The number of a boot of the machine."""
        number = self._boots.get(name)
        if number is None:
            tx.run("add_boot", name=name)
            number = self._boots[name] = int(tx.value("boot", name=name))
        return number

    def _is_open(self, lane: Lane, watch: Watch) -> bool:
        return (
            lane.v <= VERSION
            and lane.type in watch.types
            and lane.queue in watch.queues
            and lane.queue not in self._paused
        )
