"""Which homes have no work for a watch: known from their last answer, as long as their bell is silent."""

from collections.abc import Sequence

from aiojobs_engine.backends.redis.bell import Bell
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.ports.clock import Clock

_WATCHES = 64
_TRUST = 5.0

Before = tuple[int | None, float]


class Quiet:
    """Homes that need not be asked.

    A bell that rings, a connection that was cut and the end of the time that an answer holds, 5 seconds at
    most, make a home be asked again.
    """

    def __init__(self, bell: Bell, channels: Sequence[str], clock: Clock) -> None:
        """Trust the bells of `channels`, the homes by number."""
        self._bell = bell
        self._channels = [channel.encode() for channel in channels]
        self._clock = clock
        self._known: dict[Watch, dict[int, tuple[int, float]]] = {}

    def before(self, home: int) -> Before:
        """What to take before a home is asked, for `note`."""
        return self._bell.pulse(self._channels[home]), self._clock.monotonic()

    def note(self, watch: Watch, home: int, before: Before, opens_in: float | None) -> None:
        """Take in the answer of a home: seconds until it has work, 0 when it has some, None for no end."""
        if len(self._known) >= _WATCHES and watch not in self._known:
            self._known.clear()
        known = self._known.setdefault(watch, {})
        pulse, asked_at = before
        if pulse is None or opens_in == 0:
            known.pop(home, None)
        else:
            held = _TRUST if opens_in is None else min(opens_in, _TRUST)
            known[home] = (pulse, asked_at + held)

    def left(self, watch: Watch, home: int) -> float:
        """Seconds for which a home has nothing, 0 when it must be asked."""
        pulse, until = self._known.get(watch, {}).get(home, (None, 0.0))
        if pulse is None or self._bell.pulse(self._channels[home]) != pulse:
            return 0.0
        return max(0.0, until - self._clock.monotonic())
