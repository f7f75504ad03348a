"""The engine whose workers `import_kills.py` kills: `harness.import_app:engine`.

Each call of the handler is a line in the file that BENCHMARK_SEEN names: the chunk, the token and the rows.
"""

import asyncio
import os

from aiojobs_engine import Engine, JobContext, JobRegistry
from harness.people import Person

MOST_CRASHES = 50
"""More than any chunk meets: rows of a chunk that was buried would not be in."""

registry = JobRegistry()


@registry.importer("people", row=Person, key="email", timeout=60, max_crashes=MOST_CRASHES)
async def import_people(ctx: JobContext, rows: list[Person]) -> None:
    """Write down which rows came, and take a while."""
    numbers = " ".join(row.email.removeprefix("user").partition("@")[0] for row in rows)
    seen = os.open(os.environ["BENCHMARK_SEEN"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        os.write(seen, f"{ctx.id} {ctx.token} {numbers}\n".encode())
    finally:
        os.close(seen)
    await asyncio.sleep(float(os.environ["BENCHMARK_PAUSE"]))


engine = Engine(registry=registry)
