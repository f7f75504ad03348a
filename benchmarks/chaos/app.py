"""The jobs under fire: `chaos.app:engine`. Each run writes down that it began, and what it returned.

`CHAOS_FOLDER` names the folder of the journals; `AIOJOBS_URL` the store, as ever.
"""

import asyncio
import os
import time
from pathlib import Path

import msgspec

from aiojobs_engine import Engine, JobContext, JobRegistry, Retry
from chaos.journal import MOST_ATTEMPTS, RUNS, Journal

_PAUSE = 0.02
_ROW_SECONDS = 0.0005

_folder = os.environ.get("CHAOS_FOLDER")
_journal = Journal(Path(_folder) / RUNS) if _folder else None

registry = JobRegistry()


class Row(msgspec.Struct):
    """A row of the imports; some have no number where one should be."""

    key: str
    value: int


@registry.job(name="work", retry=Retry.fixed(max_attempts=MOST_ATTEMPTS, delay=_PAUSE))
async def work(ctx: JobContext, seconds: float, failures: int) -> str:
    """Take some time, and fail as often as told."""
    _began(ctx)
    await asyncio.sleep(seconds)
    if ctx.attempt - ctx.crashes <= failures:
        raise RuntimeError("as planned")
    return _returned(ctx)


@registry.job(name="grind")
def grind(ctx: JobContext, seconds: float) -> str:
    """Take some time in a thread."""
    _began(ctx)
    time.sleep(seconds)
    return _returned(ctx)


@registry.job(name="climb")
async def climb(ctx: JobContext, steps: int) -> str:
    """Go up step by step, and go on where the last run was."""
    _began(ctx)
    for step in range(ctx.cursor or 0, steps):
        await asyncio.sleep(_PAUSE)
        await ctx.progress(step + 1, steps)
        await ctx.checkpoint(step + 1)
    return _returned(ctx)


@registry.importer("load", row=Row, key="key", chunk_size=50)
async def load(ctx: JobContext, rows: list[Row]) -> None:
    """Take some time for the rows of a chunk."""
    _began(ctx)
    await asyncio.sleep(_ROW_SECONDS * len(rows))
    _returned(ctx)


def _began(ctx: JobContext) -> None:
    if _journal is not None:
        _journal.write(
            what="began",
            id=ctx.id,
            token=ctx.token,
            attempt=ctx.attempt,
            pid=os.getpid(),
            at=time.monotonic(),
        )


def _returned(ctx: JobContext) -> str:
    result = f"{ctx.id}:{ctx.token}"
    if _journal is not None:
        _journal.write(
            what="returned", id=ctx.id, token=ctx.token, pid=os.getpid(), at=time.monotonic(), result=result
        )
    return result


engine = Engine(registry=registry)
