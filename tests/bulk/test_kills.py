"""An import whose worker processes are killed: every row counts once, and the handler sees each."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Self

import msgspec
import pytest

from aiojobs_engine import Engine, JobHandle, JobStatus, Status
from tests.bulk.conftest import WriteCsv, counts

ROWS = 150_000

APP = """
import asyncio
import os
import msgspec
from aiojobs_engine import Engine

class User(msgspec.Struct):
    email: str
    age: int

worker = {"lease": 1.0, "rescue_interval": 0.2, "concurrency": 4}
engine = Engine("sqlite:///jobs.db", config={"worker": worker})
seen = os.open("seen.txt", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

@engine.importer("users", row=User, key="email", timeout=60)
async def import_users(rows: list[User]) -> None:
    os.write(seen, "".join(f"{row.age}\\n" for row in rows).encode())
    await asyncio.sleep(0.02)
"""


class Worker:
    def __init__(self, directory: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(directory)}
        command = [sys.executable, "-m", "aiojobs_engine", "worker", "app:engine"]
        with (directory / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def ended(handle: JobHandle[None]) -> JobStatus:
    async for _ in handle.events():
        pass
    return await handle.status()


async def processed(handle: JobHandle[None], rows: int) -> None:
    """Return when so many rows were processed; the law of the counters holds at every read until then."""
    async for event in handle.events():
        counts(await handle.status())
        if event.processed >= rows:
            return


class User(msgspec.Struct):
    email: str
    age: int


@pytest.mark.case("J16")
@pytest.mark.timeout(120)
async def test_killed_workers_lose_no_row_and_count_none_twice(tmp_path: Path, write_csv: WriteCsv) -> None:
    (tmp_path / "app.py").write_text(APP)
    bad = set(range(7, ROWS, 10_000))
    lines = [f"{n},{'x' if n in bad else n}" for n in range(ROWS)]
    engine = Engine("sqlite:///jobs.db")

    @engine.importer("users", row=User, key="email")
    async def import_users(rows: list[User]) -> None: ...

    async with engine:
        handle = await engine.dispatch(import_users, write_csv([*lines, lines[0]]))
        for share in (0.2, 0.5, 0.8):
            with Worker(tmp_path):
                await processed(handle, round(share * ROWS))
        with Worker(tmp_path):
            await processed(handle, ROWS + 1)
            status = await ended(handle)
        failures = [failure.row_number - 1 async for failure in engine.failures.list(handle.id)]

    assert (status.status, counts(status)) == (Status.PARTIAL, (ROWS + 1 - len(bad), len(bad), 1, ROWS + 1))
    assert failures == sorted(bad)
    seen = Counter(map(int, (tmp_path / "seen.txt").read_text().split()))
    assert set(seen) == set(range(ROWS)) - bad
    assert max(seen.values()) <= 4
    # a kill repeats the chunks that run in four slots, and as many whose outcome was on its way to the store
    assert sum(seen.values()) - len(seen) <= 3 * (4 + 4) * 1000
