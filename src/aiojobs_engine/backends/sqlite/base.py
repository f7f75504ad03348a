"""What the sides of the store share: the file, its writer and its reader."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from aiojobs_engine.backends.sqlite.bells import Bells
from aiojobs_engine.backends.sqlite.reader import Reader
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.backends.sqlite.wake import Kind, Listeners
from aiojobs_engine.backends.sqlite.writer import Writer
from aiojobs_engine.core.errors import BackendClosed, ForkedEngineError
from aiojobs_engine.core.events import JobEvent, Pick
from aiojobs_engine.ports.clock import Clock, Wake

_POLL_SECONDS = 1.0
_T = TypeVar("_T")


class Part:
    """One side of the store."""

    _path: Path
    _clock: Clock
    _bells: Bells
    _listeners: Listeners | None
    _writer: Writer | None
    _reader: Reader | None
    _pid: int
    _sink: Callable[[Sequence[JobEvent]], None] | None
    _pick: Pick | None

    async def _write(self, run: Callable[[Transaction], _T], weight: int = 1) -> _T:
        """Run an operation in the writer's transaction; to be cancelled leaves it to run to its end."""
        return await self._writing().submit(run, weight=weight)

    async def _peek(self, run: Callable[[Transaction], _T]) -> _T:
        """Run a short reading operation on the writer's connection, outside of a transaction."""
        return await self._writing().submit(run, is_read=True)

    async def _until(self, bell: Wake, timeout: float, there_at: Callable[[Transaction], int | None]) -> None:
        """Return when the instant of `there_at` is reached, at a ring, or after `timeout` seconds.

        It is asked again every second too: not every write of another process can ring here.
        """
        deadline = self._clock.monotonic() + timeout
        while True:
            at = await self._peek(there_at)
            left = min(deadline - self._clock.monotonic(), _POLL_SECONDS)
            if at is not None:
                left = min(left, (at - self._clock.now()) / 1000)
            if left <= 0 or await bell.wait(left) or self._writer is None:
                return

    def _listen(self, kind: Kind) -> None:
        """Let other processes ring when they did something of this kind."""
        if self._listeners is not None:
            self._listeners.listen(kind, partial(self._bells.ring, kind))

    def _writing(self) -> Writer:
        self._check_process()
        if self._writer is None:
            raise BackendClosed(f"{self._path} is not open: use it inside `async with engine:`")
        return self._writer

    def _reading(self) -> Reader:
        self._check_process()
        if self._reader is None:
            raise BackendClosed(f"{self._path} is not open: use it inside `async with engine:`")
        return self._reader

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise ForkedEngineError(
                f"{self._path} was opened by process {self._pid} and this is {os.getpid()}: "
                "open a new engine after a fork"
            )
