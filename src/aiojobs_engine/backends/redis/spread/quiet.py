"""Which homes have no work for a watch: known from their last answer, as long as their bell is silent."""

from collections.abc import Sequence

from aiojobs_engine.backends.redis.home import Home
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.ports.clock import Clock

_WATCHES = 64
_TRUST = 5.0

Before = tuple[int | None, int, float]
"""The pulse of a home's bell, what changed there by this process, and when."""


class Quiet:
    """Homes that need not be asked.

    A bell that rings, a connection that was cut, a change by this process, whose bell may be on its way, and
    the end of the time that an answer holds, 5 seconds at most, make a home be asked again.
    """

    def __init__(self, homes: Sequence[Home], clock: Clock) -> None:
        """Trust the bells of `homes`."""
        self._homes = homes
        self._channels = [f"{home.prefix}wake".encode() for home in homes]
        self._clock = clock
        self._known: dict[Watch, dict[int, Before]] = {}

    def before(self, home: int) -> Before:
        """What to take before a home is asked, for `note`."""
        return *self._signs(home), self._clock.monotonic()

    def note(self, watch: Watch, home: int, before: Before, opens_in: float | None) -> None:
        """Take in the answer of a home: seconds until it has work, 0 when it has some, None for no end."""
        if len(self._known) >= _WATCHES and watch not in self._known:
            self._known.clear()
        known = self._known.setdefault(watch, {})
        pulse, changes, asked_at = before
        if pulse is None or opens_in == 0:
            known.pop(home, None)
        else:
            held = _TRUST if opens_in is None else min(opens_in, _TRUST)
            known[home] = (pulse, changes, asked_at + held)

    def left(self, watch: Watch, home: int) -> float:
        """Seconds for which a home has nothing, 0 when it must be asked."""
        noted = self._known.get(watch, {}).get(home)
        if noted is None or noted[:2] != self._signs(home):
            return 0.0
        return max(0.0, noted[2] - self._clock.monotonic())

    def _signs(self, home: int) -> tuple[int | None, int]:
        return self._homes[home].bell.pulse(self._channels[home]), self._homes[home].changes
