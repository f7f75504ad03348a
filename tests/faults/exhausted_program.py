"""A worker in a process that runs out of file descriptors or threads, and gets them back.

Usage: python exhausted_program.py descriptors|threads FOLDER

It prints, as JSON, what became of its jobs.
"""

import asyncio
import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

from aiojobs_engine import Engine, EngineError, Retry, Status
from aiojobs_engine.backends import sqlite  # noqa: F401 - no descriptor is left to import it later

DESCRIPTORS = 64
STACK = 512 << 20
JOBS = 30


def made(folder: Path) -> Engine:
    """The engine with its jobs."""
    worker = {"lease": 2.0, "rescue_interval": 0.5, "concurrency": 10}
    engine = Engine(f"sqlite:///{folder / 'jobs.db'}", config={"worker": worker})

    @engine.job(name="needs_file", retry=Retry.fixed(50, 0.2))
    async def needs_file() -> int:
        with open(os.devnull, encoding="ascii") as file:  # noqa: PTH123 - the plainest way
            return file.fileno()

    @engine.job(name="needs_thread", retry=Retry.fixed(50, 0.2))
    def needs_thread() -> int:
        return threading.get_ident()

    @engine.job(name="needs_nothing", retry=Retry.none())
    async def needs_nothing() -> None: ...

    return engine


def hogged() -> list[int]:
    """Every descriptor that is left."""
    found: list[int] = []
    try:
        while True:
            found.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return found


async def descriptors(folder: Path) -> dict[str, Any]:
    """Open an engine, and run jobs, without a descriptor left, and then with some."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    engine = made(folder)
    refused = ""
    hog = hogged()
    try:
        async with engine:
            pass
    except EngineError as error:
        refused = f"{type(error).__name__}: {error}"
    _give_back(hog)
    return {"refused": refused, **await _through(engine, "needs_file", hogged, _give_back)}


async def threads(folder: Path) -> dict[str, Any]:
    """Run jobs while no thread can be started, and then when some can."""
    engine = made(folder)
    before = resource.getrlimit(resource.RLIMIT_AS)

    def exhaust() -> list[int]:
        size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        threading.stack_size(STACK)
        resource.setrlimit(resource.RLIMIT_AS, (size + STACK // 2, before[1]))
        return []

    def lift(_: list[int]) -> None:
        threading.stack_size(0)
        resource.setrlimit(resource.RLIMIT_AS, before)

    return await _through(engine, "needs_thread", exhaust, lift)


async def _through(engine: Engine, name: str, exhaust: Any, lift: Any) -> dict[str, Any]:
    async with engine.running():
        held = exhaust()
        needy = [await engine.dispatch(name) for _ in range(JOBS)]
        frugal = [await engine.dispatch("needs_nothing") for _ in range(JOBS)]
        for handle in frugal:
            await handle.result(timeout=10)
        meanwhile = [await handle.status() for handle in needy]
        while not all(job.attempts and job.error for job in meanwhile):
            await asyncio.sleep(0.02)
            meanwhile = [await handle.status() for handle in needy]
        lift(held)
        for handle in needy:
            await handle.result(timeout=20)
        after = [await handle.status() for handle in needy]
        health = await engine.health()
    return {
        "ended meanwhile": sum(job.status is Status.COMPLETED for job in meanwhile),
        "errors": sorted({job.error.message for job in meanwhile if job.error}),
        "after": sorted({str(job.status) for job in after}),
        "crashes": max(job.crashes for job in after),
        "health": health.problems,
    }


def _give_back(hog: list[int]) -> None:
    for descriptor in hog:
        os.close(descriptor)


if __name__ == "__main__":
    run = {"descriptors": descriptors, "threads": threads}[sys.argv[1]]
    sys.stdout.write(json.dumps(asyncio.run(run(Path(sys.argv[2])))))
