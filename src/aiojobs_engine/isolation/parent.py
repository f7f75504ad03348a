"""The worker's side: starts a process for one claimed job, and waits for its answer or its end."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import LeaseLost
from aiojobs_engine.core.outcome import Outcome, WorkerLost
from aiojobs_engine.isolation.wire import ALIVE, Assignment, Message, Source, decode_message, outcome_of
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.runtime.runs import Isolate
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.task_group import join, start
from aiojobs_engine.target import find

logger = logging.getLogger(__name__)

_AT_ONCE = max(2, min(4, os.cpu_count() or 1))
_MODULE = "aiojobs_engine.isolation"
_CHUNK = 1 << 16


class Isolated(Protocol):
    """The part of an engine that is needed here."""

    @property
    def registry(self) -> JobRegistry:
        """The job types."""
        ...

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        ...

    @property
    def clock(self) -> Clock:
        """The engine's time."""
        ...

    @property
    def target(self) -> str | None:
        """The `module:attribute` that the engine was loaded from, None when a program made it."""
        ...


def isolate_for(engine: Isolated) -> Isolate | None:
    """What runs claims of `engine` in processes of their own; None when those could not find its jobs.

    That is so in memory, on a test's clock, and for an engine that no loaded module holds under a name.
    A script that is the main program is loaded under another name, so it must keep its start under
    `if __name__ == "__main__"`.
    """
    if engine.settings.url.startswith("memory:") or not isinstance(engine.clock, SystemClock):
        return None
    source = _source(engine)
    return None if source is None else Isolation(engine.registry, source)


class Isolation:
    """Runs claims in processes of their own, a few at a time, since each is as large as a worker."""

    def __init__(self, registry: JobRegistry, source: Source) -> None:
        """Let the processes find the engine at `source`."""
        self._registry = registry
        self._source = source
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, claim: Claim, alive: Callable[[], None]) -> Outcome:
        """What became of the run. Cancelling kills the process and all that it started.

        Raises:
            LeaseLost: somebody else holds the job.
            OSError: no process could be started.
        """
        async with self._room:
            answer = await self._answer(claim, alive)
        if isinstance(answer, WorkerLost):
            return answer
        outcome = outcome_of(answer, self._registry.get(claim.envelope.type))
        if outcome is None:
            raise LeaseLost(f"job {claim.envelope.id} is held by another worker now")
        return outcome

    async def _answer(self, claim: Claim, alive: Callable[[], None]) -> Message | WorkerLost:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as answers:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", _MODULE, self._source.target, str(writing)),
                    stdin=asyncio.subprocess.PIPE,
                    pass_fds=(writing,),
                    start_new_session=True,
                )
            finally:
                os.close(writing)
            try:
                await self._assign(process, claim)
                listening = _Listener(answers.fileno(), alive)
                return await listening.answer(process)
            finally:
                _kill_group(process)
                await asyncio.shield(process.wait())

    async def _assign(self, process: asyncio.subprocess.Process, claim: Claim) -> None:
        """Hand the claim over; standard input stays open: its end tells the child that the worker is gone."""
        assignment = msgspec.json.encode(Assignment(claim, self._source, list(sys.path)))
        if process.stdin is not None:
            process.stdin.write(assignment + b"\n")
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()


class _Listener:
    """Hears one child: signs of life, and the answer."""

    def __init__(self, descriptor: int, alive: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._alive = alive
        self._heard = b""
        self._answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def answer(self, process: asyncio.subprocess.Process) -> Message | WorkerLost:
        """The answer, or the end of the process without one."""
        loop = asyncio.get_running_loop()
        ending = start(_ended(process), "aiojobs:isolated")
        loop.add_reader(self._descriptor, self._hear)
        try:
            await asyncio.wait((ending, self._answered), return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._descriptor)
            ending.cancel()
            await join(ending)
        while not self._answered.done() and self._hear():
            pass
        if self._answered.done():
            return self._answered.result()
        return WorkerLost(f"the process that ran it alone {_end(process.returncode or 0)}")

    def _hear(self) -> bool:
        """Read what is there; False when that was nothing."""
        try:
            heard = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not heard:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            return False
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            message = decode_message(line)
            if message == ALIVE:
                self._alive()
            elif not self._answered.done():
                self._answered.set_result(message)
        return True


def _source(engine: Isolated) -> Source | None:
    if engine.target is not None:
        return Source(engine.target)
    found = find(engine)
    if found is None:
        logger.debug("no loaded module holds the engine, so no job of it can be isolated")
        return None
    module, attribute = found
    if module != "__main__":
        return Source(f"{module}:{attribute}")
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return Source(f"{spec.name}:{attribute}")
    script = getattr(main, "__file__", None)
    if script is None or not _can_be_imported(Path(script)):
        logger.debug("the program can't be imported without running it, so no job of it can be isolated")
        return None
    return Source(f"__main__:{attribute}", str(Path(script).absolute()))


def _can_be_imported(script: Path) -> bool:
    try:
        return "__name__" in script.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


async def _ended(process: asyncio.subprocess.Process) -> None:
    await process.wait()


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code} and no answer"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
