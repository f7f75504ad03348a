"""A bound on how long something may take, on the injected clock."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from aiojobs_engine.ports.clock import Clock, Timer


def within(clock: Clock, seconds: float) -> AbstractAsyncContextManager[object]:
    """A context that raises TimeoutError when its body takes longer than `seconds`."""
    return _Deadline(clock, seconds)


class _Deadline:
    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._timer: Timer | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancels = 0
        self._has_expired = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._cancels = self._task.cancelling() if self._task is not None else 0
        self._timer = self._clock.call_later(self._seconds, self._expire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._has_expired and self._task is not None:
            is_ours = self._task.uncancel() <= self._cancels
            if is_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError(f"it took longer than {self._seconds:g} s") from error

    def _expire(self) -> None:
        self._has_expired = True
        if self._task is not None:
            self._task.cancel()
