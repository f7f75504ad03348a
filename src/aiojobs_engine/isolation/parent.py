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
from aiojobs_engine.core.errors import LeaseLostError
from aiojobs_engine.core.outcome import (
    Discarded,
    Failed,
    Interrupted,
    Outcome,
    RowsDone,
    Snoozed,
    Succeeded,
    WorkerLost,
)
from aiojobs_engine.isolation.wire import (
    ALIVE,
    STORE_AWAY,
    Assignment,
    Message,
    Source,
    decode_message,
    outcome_of,
)
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.runtime.runs import Isolate
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.task_group import join, start
from aiojobs_engine.target import find

logger = logging.getLogger(__name__)

_HARMLESS = (Succeeded, RowsDone, Failed, Snoozed, Discarded)
_AT_ONCE = max(2, min(8, 2 * (os.cpu_count() or 1)))
_MODULE = "aiojobs_engine.isolation"
_CHUNK = 1 << 16
_LEAVE = 2.0


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
    """Runs claims in processes, one job at a time in each, and a few processes, for they are large.

    A process in which a handler returned or raised takes another job that waits, so that the many jobs that
    were beside a poison job are soon done with.
    """

    def __init__(self, registry: JobRegistry, source: Source) -> None:
        """Let the processes find the engine at `source`."""
        self._registry = registry
        self._source = source
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._kept: list[_Child] = []

    async def __call__(self, claim: Claim, alive: Callable[[], None]) -> Outcome:
        """What became of the run. Cancelling kills the process and all that it started.

        Raises:
            LeaseLostError: somebody else holds the job.
            OSError: no process could be started.
        """
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            outcome = await self._outcome(claim, alive)
        finally:
            self._room.release()
        if outcome is None:
            raise LeaseLostError(f"job {claim.envelope.id} is held by another worker now")
        return outcome

    async def _outcome(self, claim: Claim, alive: Callable[[], None]) -> Outcome | None:
        child = self._kept.pop() if self._kept else await _Child.start(self._source)
        is_kept = False
        try:
            answer = await child.answer(Assignment(claim, self._source, list(sys.path)), alive)
            if answer is None and child.found_no_store:
                return Interrupted()
            if answer is None:
                return WorkerLost(f"the process that ran it alone {child.end}")
            outcome = outcome_of(answer, self._registry.get(claim.envelope.type))
            is_kept = isinstance(outcome, _HARMLESS) and len(self._kept) < self._waiting
            if not is_kept:
                await child.dismiss()
            return outcome
        finally:
            if is_kept:
                self._kept.append(child)
            else:
                await child.kill()
            while len(self._kept) > self._waiting:
                await self._kept.pop().kill()


class _Child:
    """One process, and the pipe on which it answers."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._process = process
        self._descriptor = descriptor
        self._heard = b""
        self._alive: Callable[[], None] = _nothing
        self._answer: asyncio.Future[Message] | None = None
        self._has_begun = False
        self._exit = start(_ended(process), "aiojobs:isolated")

    @classmethod
    async def start(cls, source: Source) -> "_Child":
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _MODULE, source.target, str(writing)),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(writing,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return cls(process, reading)

    @property
    def found_no_store(self) -> bool:
        """Whether it ended because the store is away, before its job began."""
        return self._process.returncode == STORE_AWAY and not self._has_begun

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode or 0
        if code >= 0:
            return f"ended with exit code {code} and no answer"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    async def answer(self, assignment: Assignment, alive: Callable[[], None]) -> Message | None:
        """What it says to an assignment; None when it ends instead."""
        loop = asyncio.get_running_loop()
        self._alive = alive
        self._has_begun = False
        self._answer = answer = loop.create_future()
        loop.add_reader(self._descriptor, self._hear)
        try:
            await self._tell(msgspec.json.encode(assignment) + b"\n")
            await asyncio.wait((self._exit, answer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._descriptor)
            self._alive = _nothing
        while not answer.done() and self._hear():
            pass
        return answer.result() if answer.done() else None

    async def dismiss(self) -> None:
        """Let it leave its resources in good order, for a bounded time."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.wait([self._exit], timeout=_LEAVE)

    async def kill(self) -> None:
        """End it, if it hasn't, and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await join(self._exit)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _tell(self, line: bytes) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line)
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.drain()

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
                self._has_begun = True
                self._alive()
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(message)
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


def _nothing() -> None:
    """Hear a sign of life that nobody waits for."""
