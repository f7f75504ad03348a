"""A process of its own on an SQLite store, which prints what was acknowledged.

Usage: python sqlite_program.py WHAT FILE [ARGUMENT...]
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ForkedEngineError
from aiojobs_engine.core.events import JobCompleted, event_of
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Claim, Settlement, Watch
from aiojobs_engine.runtime.system_clock import SystemClock

CLOCK = SystemClock()
BATCH = 20


def say(*words: object) -> None:
    """Print one line at once, whole."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def watch(name: str) -> Watch:
    return Watch(name, ("default",), ("work",))


def job(job_id: str) -> Envelope:
    return Envelope(id=job_id, type="work", payload=msgspec.Raw(b"{}"), created_at=CLOCK.now())


def done(claim: Claim) -> Settlement:
    now = CLOCK.now()
    event = event_of(JobCompleted, claim.envelope, Status.COMPLETED, claim.counters, claim.attempts + 1, now)
    return Settlement(
        lease=claim.lease, status=Status.COMPLETED, attempts=claim.attempts + 1, crashes=0, event=event
    )


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteBackend]:
    store = SqliteBackend(path, clock=CLOCK, durability="normal")
    await store.open()
    yield store
    await store.close()


async def write(path: Path, prefix: str) -> None:
    """Enqueue, claim and settle for ever."""
    async with opened(path) as store:
        say("ready")
        number = 0
        while True:
            ids = [f"{prefix}-{number + each}" for each in range(BATCH)]
            number += BATCH
            await store.enqueue([job(job_id) for job_id in ids])
            say("stored", *ids)
            claims = await store.claim(watch(prefix), BATCH, 60.0)
            answers = await store.settle([done(claim) for claim in claims])
            say("done", *[each.envelope.id for each, answer in zip(claims, answers, strict=True) if answer])


async def drain(path: Path, name: str) -> None:
    """Claim and settle until nothing is left."""
    async with opened(path) as store:
        while claims := await store.claim(watch(name), BATCH, 60.0):
            answers = await store.settle([done(claim) for claim in claims])
            say("done", *[each.envelope.id for each, answer in zip(claims, answers, strict=True) if answer])


async def wait(path: Path) -> None:
    """Say when a job has come, once it is certain that none was there."""
    async with opened(path) as store:
        await store.wait(watch("w"), 0.01)
        say("ready")
        await store.wait(watch("w"), 60.0)
        say("woken", CLOCK.boot()[1])


async def hold(path: Path) -> None:
    """Keep the write lock until the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        say("held")
        await asyncio.Event().wait()


async def forget(path: Path) -> None:
    """End without `close`."""
    store = SqliteBackend(path, clock=CLOCK)
    await store.open()
    await store.enqueue([job("a")])
    say("stored a")


async def fork(path: Path) -> None:
    """Use the store in a child and then in its parent."""
    async with opened(path) as store:
        child = os.fork()
        if child == 0:
            try:
                await store.enqueue([job("child")])
            except ForkedEngineError:
                await store.close()
                os._exit(7)
            os._exit(1)
        say("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        await store.enqueue([job("parent")])
        say("counts", *sorted((await store.counts()).values()))


if __name__ == "__main__":
    program = {each.__name__: each for each in (write, drain, wait, hold, forget, fork)}[sys.argv[1]]
    asyncio.run(program(Path(sys.argv[2]), *sys.argv[3:]))
