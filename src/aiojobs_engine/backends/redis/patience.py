"""The one place that repeats: how long, how often, and with what jitter."""

from random import Random

from aiojobs_engine.backends.redis.errors import Cut, Refused, translated
from aiojobs_engine.ports.clock import Clock

_FIRST = 0.02
_LONGEST = 1.0


class Patience:
    """The pauses between the tries of one call, twice as long each time, until its time is up.

    Every request may be repeated: scripts by their contract, other commands because they only read.
    """

    __slots__ = ("_clock", "_pause", "_rng", "_shown", "_until")

    def __init__(self, clock: Clock, rng: Random, seconds: float, shown: str) -> None:
        """Begin now."""
        self._clock = clock
        self._rng = rng
        self._shown = shown
        self._until = clock.monotonic() + seconds
        self._pause = _FIRST

    async def rest(self, trouble: Cut | Refused) -> None:
        """Return when it is time for the next try.

        Raises:
            BackendUnavailable: there will be none.
        """
        if self._clock.monotonic() >= self._until:
            raise translated(trouble, self._shown) from trouble
        pause = self._pause * self._rng.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, _LONGEST)
        await self._clock.sleep(pause)
