"""What an idle worker leaves in the store while it waits, and what it is sent (`lua/shared/handover.lua`)."""

from collections.abc import Iterator

import msgspec

from aiojobs_engine.backends.redis.home import Home
from aiojobs_engine.core.events import JobStarted


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

    def __init__(self, home: Home, claim_ids: Iterator[str]) -> None:
        """Take the ids of claims from `claim_ids`."""
        self._home = home
        self._claim_ids = claim_ids
        self._claims: dict[str, str] = {}
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
        tell = int(self._home.hears(JobStarted))
        return worker, f"{self._claims[worker]} {self._leases.get(worker, 0)} {tell}"

    def look(self, worker: str) -> None:
        """Keep what was sent to `worker` for its next claim."""
        text = self._home.bell.letter(self.channel(worker))
        if text is not None and worker in self._claims:
            letter = _decode(text)
            if letter.claim == self._claims[worker]:
                self._letters[worker] = letter

    def has_letter(self, worker: str) -> bool:
        """Whether its next claim has something to take."""
        return worker in self._letters

    def take(self, worker: str) -> Letter | None:
        """What was kept for it, once; it doesn't wait any more then."""
        letter = self._letters.pop(worker, None)
        if letter is not None:
            del self._claims[worker]
        return letter

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
        return None if claim is None else (worker, claim)

    def leave(self, worker: str) -> tuple[str, str] | None:
        """The same, for good."""
        self._leases.pop(worker, None)
        return self.quit(worker)


_decode = msgspec.msgpack.Decoder(Letter).decode
