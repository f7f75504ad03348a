"""The process of one job: loads the engine, runs the claim, answers, and is gone."""

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Any

import msgspec

from aiojobs_engine.core.errors import ConfigError, JobNotFound
from aiojobs_engine.core.outcome import Failed
from aiojobs_engine.engine import Engine
from aiojobs_engine.isolation.wire import ALIVE, Assignment, Message, Source, answer_of, encode_message
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.target import load, load_file

_MAIN = "__main__"
_SCRIPT = "aiojobs_main"

logger = logging.getLogger(__name__)


def run_child(descriptor: int) -> None:
    """Read an assignment from standard input, answer on `descriptor`, end the process."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the signature of the standard library
    assignment = _assignment()
    sys.path[:] = assignment.path
    asyncio.run(_work(assignment, descriptor))


async def _work(assignment: Assignment, descriptor: int) -> None:
    claim = assignment.claim
    engine = await _engine(assignment.source)
    job_type = _job_type(engine, claim, assignment.source)
    async with engine:
        if not await _is_here(engine, claim):
            where = f"the engine of {assignment.source.target} opens another store in a process of its own"
            _say(descriptor, answer_of(Failed(ConfigError(where)), job_type, 0))
        else:
            outcome = await engine.worker().run_alone(claim, lambda: _say(descriptor, ALIVE))
            _say(descriptor, answer_of(outcome, job_type, engine.settings.limits.result_bytes))
    _leave()


async def _engine(source: Source) -> Engine:
    if source.script is None:
        found = await load(source.target)
    else:
        found = load_file(source.script, source.target.partition(":")[2], _SCRIPT)
    if not isinstance(found, Engine):
        raise ConfigError(f"{source.target} is no Engine but {type(found).__name__}")
    return found


def _job_type(engine: Engine, claim: Claim, source: Source) -> JobType[..., Any]:
    """The type of the claim; a type that was named after the main program is called after its module here."""
    name = claim.envelope.type
    types = engine.registry.types
    module = _SCRIPT if source.script is not None else source.target.partition(":")[0]
    if name not in types and name.startswith(f"{_MAIN}."):
        alias = name.replace(_MAIN, module, 1)
        if alias in types:
            types[name] = types[alias]
    return engine.registry.get(name)


async def _is_here(engine: Engine, claim: Claim) -> bool:
    try:
        await engine.jobs.get(claim.envelope.id)
    except JobNotFound:
        return False
    return True


def _assignment() -> Assignment:
    """The first line of standard input; its end means that the worker is gone, and this process goes too."""
    source = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    stream = os.fdopen(source, "rb")
    assignment = msgspec.json.decode(stream.readline(), type=Assignment)
    threading.Thread(target=_follow_the_worker, args=(stream,), daemon=True, name="aiojobs-lifeline").start()
    return assignment


def _follow_the_worker(stream: Any) -> None:
    stream.read()
    os.killpg(0, signal.SIGKILL)


def _say(descriptor: int, message: Message) -> None:
    line = memoryview(encode_message(message))
    while line:
        line = line[os.write(descriptor, line) :]


def _leave() -> None:
    """End at once: threads of the handler that go on would keep the process."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)
