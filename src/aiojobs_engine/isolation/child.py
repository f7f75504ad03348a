"""The process of quarantined jobs: loads the engine, runs one claim after the other, and is gone."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from aiojobs_engine.core.errors import ConfigError, JobNotFound
from aiojobs_engine.core.outcome import Failed, Outcome
from aiojobs_engine.engine import Engine
from aiojobs_engine.isolation.wire import ALIVE, Assignment, Message, Source, answer_of, encode_message
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.runtime.runs import Alone
from aiojobs_engine.target import load, load_file


def run_child(descriptor: int) -> None:
    """Run what comes on standard input, answer on `descriptor`, and end when nothing comes any more."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's signature
    asyncio.run(_work(descriptor))


async def _work(descriptor: int) -> None:
    orders = _Orders()
    orders.listen()
    first = await anext(orders)
    sys.path[:] = first.path
    engine = await _engine(first.source)

    def alive() -> None:
        _say(descriptor, ALIVE)

    async with engine, engine.worker().alone(alive) as alone:
        order: Assignment | None = first
        while order is not None:
            answer = await _answer(engine, order, alone, alive)
            orders.is_idle = True
            _say(descriptor, answer)
            order = await anext(orders, None)
    _leave()


async def _answer(engine: Engine, order: Assignment, alone: Alone, alive: Callable[[], None]) -> Message:
    claim = order.claim
    job_type = engine.registry.get(claim.envelope.type)
    outcome: Outcome | None
    if await _is_here(engine, claim):
        alive()
        outcome = await alone(claim)
    else:
        where = f"in a process of its own the engine of {order.source.target} opens another store"
        outcome = Failed(ConfigError(where))
    return answer_of(outcome, job_type, engine.settings.limits.result_bytes)


class _Orders:
    """Assignments as they come on standard input; when it ends in the middle of one, the worker is gone.

    Attributes:
        is_idle: the last one was done with, so the end of the input is the end of the work.
    """

    def __init__(self) -> None:
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.is_idle = True

    def listen(self) -> None:
        """Take standard input over; handlers find it empty."""
        source = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        threading.Thread(target=self._read, args=(source,), daemon=True, name="aiojobs-orders").start()

    def __aiter__(self) -> AsyncIterator[Assignment]:
        return self

    async def __anext__(self) -> Assignment:
        line = await self._lines.get()
        if not line:
            raise StopAsyncIteration
        return msgspec.json.decode(line, type=Assignment)

    def _read(self, source: int) -> None:
        with os.fdopen(source, "rb") as stream:
            for line in stream:
                self.is_idle = False
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
        if not self.is_idle:
            os.killpg(0, signal.SIGKILL)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._lines.put_nowait, b"")


async def _engine(source: Source) -> Engine:
    if source.script is None:
        found = await load(source.target)
    else:
        found = load_file(source.script, source.target.partition(":")[2], Path(source.script).stem)
    if not isinstance(found, Engine):
        raise ConfigError(f"{source.target} is no Engine but {type(found).__name__}")
    return found


async def _is_here(engine: Engine, claim: Claim) -> bool:
    try:
        await engine.jobs.get(claim.envelope.id)
    except JobNotFound:
        return False
    return True


def _say(descriptor: int, message: Message) -> None:
    line = memoryview(encode_message(message))
    while line:
        line = line[os.write(descriptor, line) :]


def _leave() -> None:
    """End at once: threads of handlers that go on would keep the process."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)
