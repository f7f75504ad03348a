"""Job ids: time-ordered, made by the client, so that a dispatch may be repeated."""

import os
import secrets
from random import Random

from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.clock import Clock

_CHANCE_BITS = 59
_FIFTEEN_DIGITS = 16**14


class IdSource:
    """Makes 27 hexadecimal digits: 12 of ms since the epoch, 15 of chance that counts on within one.

    Ids of one source strictly increase, also when the wall clock goes back. Two sources meet with a chance
    of about 1 in 2**60 per pair of ids of the same millisecond. A forked child draws anew.
    """

    __slots__ = ("_chance", "_clock", "_forks", "_last", "_prefix", "_random")

    def __init__(self, clock: Clock) -> None:
        """Take the time from `clock`."""
        self._clock = clock
        self._last = 0
        self._prefix = ""
        self._chance = 0
        self._forks = -1
        self._random = Random()

    def __call__(self) -> str:
        """A new id."""
        now = self._clock.now()
        if self._forks != _forks[0]:
            self._forks = _forks[0]
            self._random.seed(secrets.randbits(256))
            self._begin(Instant(max(now, self._last)))
        elif now > self._last:
            # seeded once, because asking the system each millisecond gives up the interpreter's lock
            self._begin(now)
        else:
            self._chance += 1
        return self._prefix + hex(self._chance)[2:]  # noqa: FURB116 - in two thirds of its time

    def _begin(self, moment: Instant) -> None:
        self._last = moment
        self._prefix = f"{moment:012x}"
        self._chance = _FIFTEEN_DIGITS + self._random.getrandbits(_CHANCE_BITS)


_forks = [0]
"""How many forks this process has behind it; asking for the process's number costs a system call per id."""


def _forked() -> None:
    _forks[0] += 1


os.register_at_fork(after_in_child=_forked)
