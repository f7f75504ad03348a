"""Forks with an open engine, uses it in the child, and goes on with it in the parent.

Usage: python forked_program.py FOLDER

It prints, as JSON, what the child met and what the parent still could.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiojobs_engine import Engine

Use = Callable[[Engine, str], Awaitable[Any]]

USES: dict[str, Use] = {
    "dispatch": lambda engine, job_id: engine.dispatch("square", number=9),
    "dispatch_many": lambda engine, job_id: engine.dispatch_many([]),
    "result": lambda engine, job_id: engine.handle(job_id).result(timeout=1),
    "cancel": lambda engine, job_id: engine.jobs.cancel(job_id),
    "get": lambda engine, job_id: engine.jobs.get(job_id),
    "health": lambda engine, job_id: engine.health(),
    "open": lambda engine, job_id: engine.__aenter__(),
    "store": lambda engine, job_id: engine.store.get([job_id]),
}


def made(folder: Path) -> Engine:
    """The engine with its job."""
    engine = Engine(f"sqlite:///{folder / 'jobs.db'}")

    @engine.job(name="square")
    async def square(number: int) -> int:
        return number * number

    return engine


async def used(engine: Engine, job_id: str) -> dict[str, str]:
    """What each use of the engine raises."""
    raised: dict[str, str] = {}
    for name, use in USES.items():
        try:
            await use(engine, job_id)
        except Exception as error:  # noqa: BLE001 - the test tells which it should be
            raised[name] = type(error).__name__
        else:
            raised[name] = "nothing"
    return raised


async def anew(folder: Path) -> int:
    """What an engine of the child's own can do."""
    async with made(folder).running() as engine:
        handle = await engine.dispatch("square", number=7)
        result: int = await handle.result(timeout=10)
        return result


def child(engine: Engine, folder: Path, job_id: str, answer: int) -> None:
    """Say what it met, and end as a fork should."""
    met = {"raised": asyncio.run(used(engine, job_id)), "anew": asyncio.run(anew(folder))}
    os.write(answer, json.dumps(met).encode())
    os._exit(0)


async def main(folder: Path) -> None:
    """Fork in the middle of things."""
    reading, writing = os.pipe()
    async with made(folder).running() as engine:
        handle = await engine.dispatch("square", number=2)
        before = await handle.result(timeout=10)
        pid = os.fork()
        if pid == 0:
            try:
                child(engine, folder, handle.id, writing)
            finally:
                os._exit(1)
        os.close(writing)
        _, code = await asyncio.to_thread(os.waitpid, pid, 0)
        later = await engine.dispatch("square", number=3)
        after = await later.result(timeout=10)
    with os.fdopen(reading, "rb") as answers:
        met = json.loads(answers.read() or b"null")
    sys.stdout.write(json.dumps({"child": met, "code": code, "parent": [before, after]}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
