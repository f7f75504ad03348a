"""One process that writes rows to a CSV file: by a bare `csv` writer, or as an export; it prints JSON.

python benchmarks/harness/export_run.py bare|export ROWS DIRECTORY
"""

import asyncio
import csv
import json
import resource
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from aiojobs_engine import Engine

COLUMNS = ["email", "name", "age", "city", "joined"]


class User(msgspec.Struct):
    """Five columns, 44 bytes as CSV."""

    email: str
    name: str
    age: int
    city: str
    joined: str


async def users(rows: int) -> AsyncIterator[User]:
    """As they come from a database."""
    for n in range(rows):
        yield User(f"user{n}@example.org", f"User {n}", n % 90, "Lisboa", "2026-01-31")


async def bare(path: Path, rows: int) -> None:
    """What people write by hand."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        async for row in users(rows):
            writer.writerow((row.email, row.name, row.age, row.city, row.joined))


async def export(path: Path, rows: int) -> None:
    """From dispatch to result, on SQLite, with formulas made harmless."""
    url = f"sqlite:///{path.parent}/jobs.db"
    engine = Engine(url, config={"storage": {"path": str(path.parent / "files")}})
    made = engine.exporter("users", columns=COLUMNS, key="email")(users)
    async with engine.running():
        handle = await engine.dispatch(made, to=path, rows=rows)
        file = await handle.result()
        assert file.rows == rows


async def main() -> None:
    """Do one of the two."""
    how, rows, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    path = directory / f"{how}.csv"
    start = time.perf_counter()
    await (bare if how == "bare" else export)(path, rows)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "bytes": path.stat().st_size}))


if __name__ == "__main__":
    asyncio.run(main())
