"""Exports whose worker processes are killed: the whole file or none, and each row in it once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import Engine, JobHandle, Status
from tests.exports import killed_app
from tests.exports.conftest import left_in, rows_of
from tests.house.tree import ROOT
from tests.servers.server import until

ROWS = 40_000
TARGET = Path("out/users.csv")


@contextmanager
def worker() -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process, killed at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "aiojobs_engine", "worker", "tests.exports.killed_app:engine"]
    with Path("worker.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def held(gate: int) -> int:
    """The process that has come to a gate, as soon as one has."""
    found: list[int] = await asyncio.to_thread(until, lambda: killed_app.held(gate), f"one at {gate}")
    return found[0]


@asynccontextmanager
async def exporting(export: Any) -> AsyncIterator[JobHandle[Any]]:
    """An export whose workers the body kills; in the end its file is whole, and nothing else is left."""
    TARGET.parent.mkdir()
    async with Engine("sqlite:///jobs.db", registry=killed_app.registry) as engine:
        handle = await engine.dispatch(export, to=TARGET, rows=ROWS)
        yield handle
        with worker():
            file = await handle.result(timeout=60)
            status = await handle.status()

    assert is_there()
    assert (status.status, status.processed, status.total) == (Status.COMPLETED, ROWS, ROWS)
    assert (file.rows, file.size) == (ROWS, TARGET.stat().st_size)
    assert left_in(TARGET.parent) == ["users.csv"]
    assert left_in(Path("aiojobs-files")) == []


def is_there() -> bool:
    """Whether the file is there; half of it must never be."""
    if not TARGET.exists():
        return False
    assert [int(age) for _, age in rows_of(TARGET)[1:]] == list(range(ROWS))
    return True


@pytest.mark.case("J19")
@pytest.mark.timeout(120)
async def test_killed_workers_leave_the_whole_file_or_none() -> None:
    async with exporting(killed_app.users) as handle:
        for gate in killed_app.GATES:
            with worker():
                await held(gate)
            assert not is_there()
        with worker():
            async for event in handle.events():
                if event.processed == ROWS:
                    break
        is_there()

    asked = [int(line) for line in Path("asked.txt").read_text().split()]
    last = killed_app.GATES[-1]
    assert [row for row in asked if row <= last] == list(range(0, last + 1, 1000)), "what is kept stays"


@pytest.mark.case("J19")
@pytest.mark.timeout(120)
async def test_parts_on_killed_workers_come_once_each() -> None:
    async with exporting(killed_app.shares):
        with ExitStack() as stack:
            workers = [stack.enter_context(worker()) for _ in range(2)]
            for gate in killed_app.GATES_OF_PART:
                pid = await held(gate)
                (struck,) = [each for each in workers if each.pid == pid]
                struck.kill()
                workers.append(stack.enter_context(worker()))
                assert not is_there()
