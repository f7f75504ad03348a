"""A process as its store and its jobs know it: it can be killed and stopped, and its clock be wrong."""

import asyncio
from collections.abc import Callable

from aiojobs_engine.core.errors import BackendClosed
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.clock import Clock, Timer
from aiojobs_engine.testing.clock import ManualClock


class Process:
    """What lives inside waits for its turn at every call of the store, and at every timer.

    Attributes:
        pid: its number.
        clock: its time; the wall clock is off by `skew` ms.
        is_up: it runs, or it is stopped and will go on.
    """

    def __init__(self, pid: int, time: ManualClock) -> None:
        self.pid = pid
        self.skew = 0
        self.clock = ProcessClock(self, time)
        self.is_up = True
        self.is_stopped = False
        self._is_buried = False
        self._waiters: list[asyncio.Future[None]] = []
        self._timers: list[ProcessTimer] = []

    async def turn(self) -> None:
        """Return when the process runs."""
        while not self._is_buried and not self.runs:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if self._is_buried:
            raise BackendClosed(f"process {self.pid} is gone")

    @property
    def runs(self) -> bool:
        return self.is_up and not self.is_stopped

    def kill(self) -> None:
        self.is_up = False

    def stop(self) -> None:
        self.is_stopped = True

    def go_on(self) -> None:
        self.is_stopped = False
        self._release()

    def bury(self) -> None:
        """Let the tasks of a killed process end; the store hears no more of them."""
        self._is_buried = True
        self._release()

    def ring(self, timer: "ProcessTimer") -> None:
        """Call a timer that has come due, now or when the process goes on."""
        if self.runs or self._is_buried:
            timer.ring()
        else:
            self._timers.append(timer)

    def _release(self) -> None:
        waiters, self._waiters = self._waiters, []
        timers, self._timers = self._timers, []
        for timer in timers:
            timer.ring()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class ProcessTimer:
    """A timer that doesn't ring in a process that stands still."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback
        self._is_cancelled = False

    def ring(self) -> None:
        if not self._is_cancelled:
            self._callback()

    def cancel(self) -> None:
        self._is_cancelled = True


class ProcessClock(Clock):
    """The time of one process."""

    def __init__(self, process: Process, time: ManualClock) -> None:
        self._process = process
        self._time = time

    def now(self) -> Instant:
        return Instant(self._time.now() + self._process.skew)

    def monotonic(self) -> float:
        return self._time.monotonic()

    def boot(self) -> tuple[str, int]:
        return self._time.boot()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = ProcessTimer(callback)
        self._time.call_later(seconds, lambda: self._process.ring(timer))
        return timer
