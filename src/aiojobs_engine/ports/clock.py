"""Time, injected: nothing but a clock reads time or sleeps."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from aiojobs_engine.core.instant import Instant


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Call it off; without effect after the call."""
        ...


class Clock(ABC):
    """Three kinds of time: wall (what people read), monotonic (deadlines) and boot (leases on one host)."""

    @abstractmethod
    def now(self) -> Instant:
        """The wall clock, ms since the epoch, UTC; it may jump."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never goes back, may stand still while the machine sleeps."""

    @abstractmethod
    def boot(self) -> tuple[str, int]:
        """The id of this boot of the machine, and ms since it, suspension included."""

    @abstractmethod
    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` on the running loop after `seconds`."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; cancelling leaves no timer behind."""
        await Wake(self).wait(seconds)


class Wake:
    """A bell for one listener: `set` rings it, `wait` returns at the ring and hangs it up again."""

    __slots__ = ("_clock", "_is_set", "_waiter")

    def __init__(self, clock: Clock) -> None:
        """Let `clock` measure the timeouts."""
        self._clock = clock
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Ring; several rings before a `wait` count as one. Only from the loop's own thread."""
        self._is_set = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self, seconds: float | None = None) -> bool:
        """True at a ring since the last `wait`, False after `seconds`; None waits for ever.

        One waiter at a time. Cancelling loses no ring.
        """
        if not self._is_set:
            await self._sleep(seconds)
        rung, self._is_set = self._is_set, False
        return rung

    async def _sleep(self, seconds: float | None) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        timer = None if seconds is None else self._clock.call_later(max(0.0, seconds), self._time_out)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _time_out(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
