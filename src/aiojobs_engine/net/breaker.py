"""A circuit breaker: a place that fails again and again is left alone for a while."""

from aiojobs_engine.ports.clock import Clock

FAILURES = 5
SECONDS = 60.0


class Breaker:
    """Opens after five failures in a row; after a minute one call may try whether it is well again."""

    def __init__(self, clock: Clock) -> None:
        """Be closed."""
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return self._failures >= FAILURES

    def allows(self) -> bool:
        """Whether a call may be made; its end must be told by `note`, or by `forget` when nobody knows it."""
        if not self.is_open:
            return True
        if self._is_trying or self._clock.monotonic() < self._open_until:
            return False
        self._is_trying = True
        return True

    def note(self, *, succeeded: bool) -> None:
        """Tell how a call ended."""
        self._is_trying = False
        self._failures = 0 if succeeded else self._failures + 1
        if self.is_open:
            self._open_until = self._clock.monotonic() + SECONDS

    def forget(self) -> None:
        """Tell that a call was cancelled."""
        self._is_trying = False
