"""`worker -p N` and `worker --reload`: worker processes under a supervisor."""

import asyncio
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio.to_thread

from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.worker import Wish, farewell, listen_to_signals
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.supervisor import Supervisor
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.task_group import join, start
from aiojobs_engine.settings import load_settings

_LOOK = 1.0
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "venv", "site-packages"})

Stamps = Mapping[str, tuple[int, int]]


async def run_supervised(wish: Wish) -> int:
    """Run the processes until all have ended; the exit code."""
    clock = SystemClock()
    count = wish.processes or load_settings().worker.processes
    shift = Shift(replace(wish, processes=count), clock)
    listen_to_signals(shift.stop, shift.stop_now)
    started_at = clock.monotonic()
    code = await (shift.run_reloading(Path.cwd()) if wish.reload else shift.run())
    if not code:
        note(farewell(shift.settled, clock.monotonic() - started_at, shift.died))
    return code


class Shift:
    """One supervisor after the other: a new one at each reload.

    Attributes:
        settled: what all processes reported.
        died: processes that ended without a word.
    """

    def __init__(self, wish: Wish, clock: Clock) -> None:
        """Run what `wish` says."""
        self._wish = wish
        self._clock = clock
        self._supervisor: Supervisor | None = None
        self._is_told = False
        self._told = asyncio.Event()
        self._code = 0
        self.settled = 0
        self.died = 0

    def stop(self) -> None:
        """Drain, and start no more."""
        self._told.set()
        if self._supervisor is not None:
            self._supervisor.stop()

    def stop_now(self) -> None:
        """Hand back what runs; a third time kills."""
        is_repeated = self._is_told
        self._is_told = True
        self._told.set()
        if self._supervisor is not None:
            (self._supervisor.kill if is_repeated else self._supervisor.stop_now)()

    async def run(self) -> int:
        """Run until the processes have ended; the exit code."""
        supervisor = self._supervisor = Supervisor(self._commands(), self._wish.processes or 1, self._clock)
        code = await supervisor.run()
        self.settled += supervisor.settled
        self.died += supervisor.restarts
        return code

    async def run_reloading(self, root: Path) -> int:
        """The same, and again whenever a Python file under `root` changes; the exit code of the last."""
        while not self._told.is_set():
            stamps = await _stamps(root)
            ended = start(self._run_once(), "aiojobs:shift")
            changed = start(_change(root, stamps, self._clock), "aiojobs:changes")
            stopped = start(_wait(self._told), "aiojobs:stop")
            await asyncio.wait([ended, changed], return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and self._code:
                note("it can't run like this; it starts again when a file changes")
                await asyncio.wait([changed, stopped], return_when=asyncio.FIRST_COMPLETED)
            has_changed = changed.done() and not self._told.is_set()
            if has_changed and self._supervisor is not None:
                note("a file has changed: draining, then starting again")
                self._supervisor.stop()
            await join(ended)
            for task in (changed, stopped):
                task.cancel()
                await join(task)
            ended.result()
            if not has_changed:
                break
        return self._code

    async def _run_once(self) -> None:
        self._code = await self.run()

    def _commands(self) -> "Commands":
        return Commands(self._wish)


class Commands:
    """The command line of each process; all but the first keep quiet at their start."""

    def __init__(self, wish: Wish) -> None:
        """Pass `wish` on."""
        self._wish = wish
        self._is_first = True

    def __call__(self, descriptor: int, place: int) -> Sequence[str]:
        """The command line of the process in this place, which gets this end of the lifeline."""
        words = [sys.executable, "-m", "aiojobs_engine", "worker", *self._wish.words()]
        words += ["--processes", str(self._wish.processes), "--lifeline", str(descriptor)]
        words += ["--place", str(place)]
        if not self._is_first:
            words.append("--quiet")
        self._is_first = False
        return words


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _change(root: Path, stamps: Stamps, clock: Clock) -> None:
    """Return when a Python file under `root` is no longer as in `stamps`."""
    if find_spec("watchfiles") is not None:
        watchfiles: Any = importlib.import_module("watchfiles")
        async for _ in watchfiles.awatch(root, watch_filter=watchfiles.PythonFilter()):
            return
    while await _stamps(root) == stamps:
        await clock.sleep(_LOOK)


async def _stamps(root: Path) -> Stamps:
    return await anyio.to_thread.run_sync(_read_stamps, root)


def _read_stamps(root: Path) -> Stamps:
    """Change time and size of every Python file, hidden directories and installed packages left out."""
    stamps: dict[str, tuple[int, int]] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _PASSED_OVER]
        for name in files:
            path = Path(folder, name)
            if name.endswith(".py"):
                try:
                    found = path.stat()
                except OSError:
                    continue
                stamps[str(path)] = (found.st_mtime_ns, found.st_size)
    return stamps
