"""The app whose workers are killed: its handlers stand still at gates until that has happened."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from aiojobs_engine import Engine, JobContext, JobRegistry
from tests.exports.conftest import User

GATES = (10_000, 24_000, 36_000)
"""Rows of `users`; behind each it waits until all before are kept."""

PARTS = 8
HELD = 3
GATES_OF_PART = (2_000, 4_000)
"""Rows of part `HELD` of `shares`."""

registry = JobRegistry()
engine = Engine(
    "sqlite:///jobs.db",
    registry=registry,
    config={"worker": {"lease": 1.0, "rescue_interval": 0.2, "concurrency": 2}},
)


def held(gate: int) -> list[int]:
    """The process that stands at a gate, or stood there."""
    return [int(path.suffix[1:]) for path in Path().glob(f"held-{gate}.*")]


async def stand_still(gate: int) -> None:
    """Be there until the process is killed."""
    Path(f"held-{gate}.{os.getpid()}").touch()
    await asyncio.Event().wait()


@registry.exporter("users", columns=["email", "age"], key="age", timeout=60)
async def users(ctx: JobContext, rows: int) -> AsyncIterator[User]:
    first = 0 if ctx.cursor is None else ctx.cursor + 1
    gate = next((gate for gate in GATES if gate >= first), rows)
    for n in range(first, rows):
        if n % 1000 == 0:
            if n > gate:
                if ctx.cursor is not None and ctx.cursor >= gate:
                    await stand_still(gate)
                await ctx.engine.clock.sleep(1)  # after which rows are kept
            with Path("asked.txt").open("a") as asked:
                asked.write(f"{n}\n")
        yield User(f"user{n}@example.org", n)


async def numbers() -> list[int]:
    return list(range(PARTS))


@registry.exporter("shares", columns=["email", "age"], key="age", parts=numbers, spread=True, timeout=60)
async def shares(ctx: JobContext, rows: int) -> AsyncIterator[User]:
    share = rows // PARTS
    first = ctx.part * share
    for n in range(first if ctx.cursor is None else ctx.cursor + 1, first + share):
        if ctx.part == HELD and n - first in GATES_OF_PART and not held(n - first):
            await stand_still(n - first)
        yield User(f"user{n}@example.org", n)
