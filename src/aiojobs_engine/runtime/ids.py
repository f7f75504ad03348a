"""Job ids: time-ordered, made by the client, so that a dispatch may be repeated."""

import os
import secrets
from random import Random

from aiojobs_engine.ports.clock import Clock

_CHANCE_BITS = 60


class IdSource:
    """Makes 27 hexadecimal digits: 12 of ms since the epoch, 15 of chance that counts on within one.

    Ids of one source strictly increase, also when the wall clock goes back. Two sources meet with a chance
    of about 1 in 2**60 per pair of ids of the same millisecond. A forked child draws anew.
    """

    __slots__ = ("_chance", "_clock", "_last", "_pid", "_random")

    def __init__(self, clock: Clock) -> None:
        """Take the time from `clock`."""
        self._clock = clock
        self._last = 0
        self._chance = 0
        self._pid = 0
        self._random = Random()

    def __call__(self) -> str:
        """A new id."""
        now = self._clock.now()
        pid = os.getpid()
        if pid != self._pid:
            self._pid = pid
            self._random.seed(secrets.randbits(256))
            self._last, self._chance = max(now, self._last), self._random.getrandbits(_CHANCE_BITS - 1)
        elif now > self._last:
            # seeded once, because asking the system each millisecond gives up the interpreter's lock
            self._last, self._chance = now, self._random.getrandbits(_CHANCE_BITS - 1)
        else:
            self._chance += 1
        return f"{self._last:012x}{self._chance:015x}"
