"""How many jobs may be claimed before there is a slot for them.

With short jobs the claims and settlements cost more than the jobs, and one write that carries many of them
costs hardly more than one that carries few. So a worker claims ahead what it will start within 40 ms at its
present rate, at most 500 jobs, and nothing while its jobs are long: others may be free to run them.
"""

from collections import deque
from collections.abc import Callable

from aiojobs_engine.ports.clock import Clock, Timer
from aiojobs_engine.runtime.run import Run

_AHEAD_SECONDS = 0.04
_MOST_AHEAD = 500
_SHORTEST_SAMPLE = 0.001
_LEAST_WEIGHT = 0.4
_MEMORY = 0.1
_PATIENCE = 0.25


class Pace:
    """The rate at which slots become free, and what that allows to claim ahead."""

    __slots__ = ("_clock", "_counted", "_rate", "_seen_at")

    def __init__(self, clock: Clock) -> None:
        """Start with nothing claimed ahead."""
        self._clock = clock
        self._seen_at = clock.monotonic()
        self._counted = 0
        self._rate = 0.0

    def count(self) -> None:
        """A run ended."""
        self._counted += 1

    def allowance(self) -> int:
        """How many jobs may wait for a slot now, 0 to 500."""
        now = self._clock.monotonic()
        elapsed = now - self._seen_at
        if elapsed >= _SHORTEST_SAMPLE:
            weight = min(1.0, _LEAST_WEIGHT + elapsed / _MEMORY)
            self._rate += weight * (self._counted / elapsed - self._rate)
            self._seen_at, self._counted = now, 0
        return min(_MOST_AHEAD, int(self._rate * _AHEAD_SECONDS))


class Ahead:
    """Runs that were claimed ahead, in claim order. When the first has waited for 0.25 s all go back."""

    def __init__(self, clock: Clock, hand_back: Callable[[Run], None]) -> None:
        """Give those that waited too long to `hand_back`."""
        self._clock = clock
        self._hand_back = hand_back
        self._waiting: deque[Run] = deque()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those that wait, the next one first."""
        return tuple(self._waiting)

    def add(self, run: Run) -> None:
        """Let `run` wait behind the others."""
        self._waiting.append(run)
        if self._timer is None:
            self._timer = self._clock.call_later(_PATIENCE, self._look)

    def take(self) -> Run | None:
        """The next one, None when nobody waits."""
        return self._waiting.popleft() if self._waiting else None

    def drop(self, run: Run) -> None:
        """Forget `run`; one that doesn't wait is fine."""
        if run in self._waiting:
            self._waiting.remove(run)

    def clear(self) -> None:
        """Hand all back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._hand_back(self._waiting.popleft())

    def _look(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        waited = self._clock.monotonic() - self._waiting[0].leased_at
        if waited >= _PATIENCE:
            self.clear()
        else:
            self._timer = self._clock.call_later(_PATIENCE - waited, self._look)
