"""Exports whose worker processes are killed: the whole file or none, and each row in it once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiojobs_engine import Engine, JobHandle, Status
from tests.exports.conftest import User, left_in, rows_of

ROWS = 40_000

APP = """
import asyncio
import msgspec
from aiojobs_engine import Engine, JobContext

class User(msgspec.Struct):
    email: str
    age: int

worker = {"lease": 1.0, "rescue_interval": 0.2, "concurrency": 4}
engine = Engine("sqlite:///jobs.db", config={"worker": worker})

@engine.exporter("users", columns=["email", "age"], key="age", timeout=60)
async def export_users(ctx: JobContext, rows: int):
    for n in range(0 if ctx.cursor is None else ctx.cursor + 1, rows):
        if n % 1000 == 0:
            with open("asked.txt", "a") as file:
                file.write(f"{n}\\n")
            await asyncio.sleep(0.05)
        yield User(f"user{n}@example.org", n)
"""


@contextmanager
def worker(directory: Path) -> Iterator[None]:
    """A worker process, killed at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), *sys.path])}
    command = [sys.executable, "-m", "aiojobs_engine", "worker", "app:engine"]
    with (directory / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


async def until(handle: JobHandle[object], rows: int) -> None:
    async for event in handle.events():
        if event.processed >= rows:
            return


def check_absent_or_whole(path: Path) -> bool:
    """Whether the file is there; half of it must never be."""
    if not path.exists():
        return False
    assert [int(age) for _, age in rows_of(path)[1:]] == list(range(ROWS))
    return True


@pytest.mark.case("J19")
@pytest.mark.timeout(120)
async def test_killed_workers_leave_the_whole_file_or_none(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    engine = Engine("sqlite:///jobs.db")

    @engine.exporter("users", columns=["email", "age"], key="age")
    async def export_users(rows: int) -> Iterator[User]:  # type: ignore[misc]
        yield User("", rows)

    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "users.csv"
    async with engine:
        handle = await engine.dispatch(export_users, to=target, rows=ROWS)
        for share in (0.25, 0.6, 0.9, 1.0):
            with worker(tmp_path):
                await until(handle, round(share * ROWS))
            check_absent_or_whole(target)
        with worker(tmp_path):
            file = await handle.result(timeout=60)
            status = await handle.status()

    assert check_absent_or_whole(target)
    assert (status.status, status.processed, status.total) == (Status.COMPLETED, ROWS, ROWS)
    assert (file.rows, file.size) == (ROWS, target.stat().st_size)
    assert left_in(tmp_path / "out") == ["users.csv"]
    assert left_in(tmp_path / "aiojobs-files") == []
    asked = list(map(int, (tmp_path / "asked.txt").read_text().split()))
    assert len(asked) - len(set(asked)) < ROWS // 1000, "most rows are asked for once"


SPREAD = """
import asyncio
import msgspec
from aiojobs_engine import Engine, JobContext

class User(msgspec.Struct):
    email: str
    age: int

worker = {"lease": 1.0, "rescue_interval": 0.2, "concurrency": 2}
engine = Engine("sqlite:///jobs.db", config={"worker": worker})

async def shares(rows: int) -> list[int]:
    return list(range(8))

@engine.exporter("users", columns=["email", "age"], key="age", parts=shares, spread=True, timeout=60)
async def export_users(ctx: JobContext, rows: int):
    share = rows // 8
    first = ctx.part * share
    for n in range(first if ctx.cursor is None else ctx.cursor + 1, first + share):
        if n % 1000 == 0:
            await asyncio.sleep(0.05)
        yield User(f"user{n}@example.org", n)
"""


@pytest.mark.case("J19")
@pytest.mark.timeout(120)
async def test_parts_on_killed_workers_come_once_each(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SPREAD)
    engine = Engine("sqlite:///jobs.db")

    async def shares(rows: int) -> list[int]:
        return [rows]

    @engine.exporter("users", columns=["email", "age"], key="age", parts=shares, spread=True)
    async def export_users(rows: int) -> Iterator[User]:  # type: ignore[misc]
        yield User("", rows)

    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "users.csv"
    async with engine:
        handle = await engine.dispatch(export_users, to=target, rows=ROWS)
        with worker(tmp_path):
            for share in (0.3, 0.7):
                with worker(tmp_path):
                    await until(handle, round(share * ROWS))
                check_absent_or_whole(target)
        with worker(tmp_path):
            file = await handle.result(timeout=60)
            status = await handle.status()

    assert check_absent_or_whole(target)
    assert (status.status, status.processed, status.total) == (Status.COMPLETED, ROWS, ROWS)
    assert (file.rows, file.size) == (ROWS, target.stat().st_size)
    assert left_in(tmp_path / "out") == ["users.csv"]
    assert left_in(tmp_path / "aiojobs-files") == []
