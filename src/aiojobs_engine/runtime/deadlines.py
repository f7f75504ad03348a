"""The deadlines of all runs, behind one timer.

A timer per job would cost more than the job: runs share buckets of 10 ms, and only the earliest bucket
has a timer. Leaving is one `discard`, so that fast jobs leave nothing behind.
"""

import heapq
from collections.abc import Callable

from aiojobs_engine.ports.clock import Clock, Timer
from aiojobs_engine.runtime.run import DEADLINES_PER_SECOND as _PER_SECOND
from aiojobs_engine.runtime.run import Run, Stop

_WARNINGS = 2


class Deadlines:
    """Ends runs that take too long, and sees to it that those that were told to end do.

    A run that goes on for `grace` seconds after it was told is told once more; after as many again `give_up`
    is called with it, once, and its task is left alone.
    """

    def __init__(self, clock: Clock, grace: float, give_up: Callable[[Run], None]) -> None:
        """Read time from `clock`."""
        self._clock = clock
        self._grace = grace
        self._give_up = give_up
        # None for a bucket that all have left: a set keeps the room of its best times until it is due
        self._buckets: dict[int, set[Run] | None] = {}
        self._order: list[int] = []
        self._timer: Timer | None = None
        self._timer_for = 0

    def add(self, run: Run, seconds: float) -> None:
        """End `run` in `seconds`, up to 10 ms later; a run has one deadline, the newest."""
        if run.deadline:
            self.discard(run)
        key = int((self._clock.monotonic() + seconds) * _PER_SECOND) + 1
        bucket = self._buckets.get(key)
        if bucket is None:
            if key not in self._buckets:
                heapq.heappush(self._order, key)
                if self._timer is None or key < self._timer_for:
                    self._arm(key)
            bucket = self._buckets[key] = set()
        bucket.add(run)
        run.deadline = key

    def end(self, run: Run, reason: Stop) -> None:
        """Tell `run` to end, and watch that it does."""
        run.end(reason)
        run.warnings += 1
        self.add(run, self._grace)

    def ask(self, run: Run, reason: Stop) -> None:
        """Let `run` come to a place where it ends by itself; it is told in `grace` seconds."""
        run.stop = reason
        self.add(run, self._grace)

    def discard(self, run: Run) -> None:
        """Forget `run`."""
        bucket = self._buckets.get(run.deadline)
        if bucket is not None:
            bucket.discard(run)
            if not bucket:
                self._buckets[run.deadline] = None
        run.deadline = 0

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._order.clear()

    def _overdue(self, run: Run) -> None:
        if run.warnings < _WARNINGS:
            self.end(run, run.stop or Stop.TIMEOUT)
        else:
            self._give_up(run)

    def _arm(self, key: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_for = key
        self._timer = self._clock.call_later(
            max(0.0, key / _PER_SECOND - self._clock.monotonic()), self._ring
        )

    def _ring(self) -> None:
        self._timer = None
        now = max(self._timer_for, int(self._clock.monotonic() * _PER_SECOND))
        while self._order and self._order[0] <= now:
            for run in self._buckets.pop(heapq.heappop(self._order), None) or ():
                run.deadline = 0
                self._overdue(run)
        while self._order and not self._buckets[self._order[0]]:
            del self._buckets[heapq.heappop(self._order)]
        if self._order:
            self._arm(self._order[0])
