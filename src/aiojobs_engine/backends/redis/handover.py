"""What an idle worker leaves in the store while it waits, and what it is sent (`lua/shared/handover.lua`)."""

from collections.abc import Iterator

import msgspec

from aiojobs_engine.backends.redis.home import Home
from aiojobs_engine.core.events import JobStarted
from aiojobs_engine.ports.clock import Clock


class Letter(msgspec.Struct, array_like=True):
    """A job that is leased to a worker that waits.

    Attributes:
        claim: the id of the claim that the worker left.
        at: ms since the epoch, by the server.
        place: where the job stands.
        entry, events: the entry of its `JobStarted` in the stream, and its JSON when the worker wants it.
        envelope: the envelope's JSON.
    """

    claim: str
    at: str
    place: str
    entry: str
    events: str
    envelope: str


class Waiting:
    """The workers of this process that wait with nothing to do, each under the id of its next claim."""

    def __init__(self, home: Home, claim_ids: Iterator[str], clock: Clock) -> None:
        """Take the ids of claims from `claim_ids`; let `clock` measure how old letters are."""
        self._home = home
        self._claim_ids = claim_ids
        self._clock = clock
        self._claims: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._leases: dict[str, int] = {}
        self._letters: dict[str, Letter] = {}

    def channel(self, worker: str) -> str:
        """Where `worker` is woken, and sent letters."""
        return f"{self._home.prefix}wake:{worker}"

    def enter(self, worker: str) -> tuple[str, str]:
        """The worker and the terms that it leaves; it takes no job unless it has claimed before."""
        if worker not in self._claims:
            self._claims[worker] = next(self._claim_ids)
            self._home.bell.letter(self.channel(worker))  # of an earlier claim
        self._since[worker] = self._clock.monotonic()
        tell = int(self._home.hears(JobStarted))
        return worker, f"{self._claims[worker]} {self._leases.get(worker, 0)} {tell}"

    def look(self, worker: str) -> None:
        """Keep what was sent to `worker` for its next claim.

        Of a letter that may be older than a third of its lease the claim asks the store: this process may
        have stood still, and the job may be another worker's by now.
        """
        text = self._home.bell.letter(self.channel(worker))
        if (
            text is None
            or worker not in self._claims
            or self._age(worker) > self._leases.get(worker, 0) / 3000
        ):
            return
        letter = _decode(text)
        if letter.claim == self._claims[worker]:
            self._letters[worker] = letter

    def has_letter(self, worker: str) -> bool:
        """Whether its next claim has something to take."""
        return worker in self._letters

    def take(self, worker: str) -> tuple[Letter, float] | None:
        """What was kept for it, once, and the seconds that its lease may have lasted; it waits no more."""
        letter = self._letters.pop(worker, None)
        if letter is None:
            return None
        del self._claims[worker]
        return letter, self._age(worker)

    def begin(self, worker: str, lease: int) -> tuple[str, bool]:
        """The id of its claim for `lease` ms, and whether it has left that: no letter counts from now on."""
        self._leases[worker] = lease
        left = self._claims.pop(worker, None)
        return (next(self._claim_ids), False) if left is None else (left, True)

    def fail(self, worker: str, claim: str) -> None:
        """The claim that it has left was not answered: the next one may be."""
        self._claims.setdefault(worker, claim)

    def quit(self, worker: str) -> tuple[str, str] | None:
        """The worker and the claim that it won't make, if it has left one."""
        self._letters.pop(worker, None)
        claim = self._claims.pop(worker, None)
        if claim is None:
            return None
        self._left[worker] = claim
        return worker, claim

    def leave(self, worker: str) -> tuple[str, str] | None:
        """The same for good, and of an earlier `quit` too, for which the store may not have heard of it."""
        self.quit(worker)
        self._leases.pop(worker, None)
        self._since.pop(worker, None)
        claim = self._left.pop(worker, None)
        return None if claim is None else (worker, claim)

    def _age(self, worker: str) -> float:
        """Seconds since it left its claim; nothing was sent before."""
        return self._clock.monotonic() - self._since[worker]


_decode = msgspec.msgpack.Decoder(Letter).decode
