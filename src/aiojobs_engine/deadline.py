"""A bound on how long a caller waits, by the engine's own clock."""

import asyncio
from types import TracebackType

from aiojobs_engine.ports.clock import Clock, Timer


class Deadline:
    """`async with Deadline(clock, seconds):` raises `TimeoutError` when its body takes longer; None is no bound."""

    __slots__ = ("_before", "_clock", "_is_over", "_seconds", "_task", "_timer", "_what")

    def __init__(self, clock: Clock, seconds: float | None, what: str) -> None:
        """Bound the body; `what` says in the error what did not happen in time."""
        self._clock = clock
        self._seconds = seconds
        self._what = what
        self._is_over = False
        self._timer: Timer | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0
        if self._seconds is not None:
            self._timer = self._clock.call_later(max(0.0, self._seconds), self._end)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_over and self._task is not None:
            is_ours = self._task.uncancel() <= self._before
            if is_ours and isinstance(error, asyncio.CancelledError):
                raise TimeoutError(f"{self._what} within {self._seconds:g} s") from error

    def _end(self) -> None:
        self._is_over = True
        if self._task is not None:
            self._task.cancel()
