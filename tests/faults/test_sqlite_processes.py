"""Real processes on one SQLite file: killed, side by side, forgetful, forked."""

import asyncio
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.system_clock import SystemClock
from tests.faults import sqlite_program
from tests.faults.sqlite_program import job

KILLS = 8
LINES = 60
JOBS = 1_000


class Programs:
    """Starts processes, and sees that none outlives the test."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started: list[subprocess.Popen[str]] = []

    def start(self, what: str, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, sqlite_program.__file__, what, str(self._path), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def programs(path: Path) -> Iterator[Programs]:
    programs = Programs(path)
    yield programs
    programs.end()


def _line(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def _lines(process: "subprocess.Popen[str]") -> Iterator[list[str]]:
    assert process.stdout is not None
    return (line.split() for line in process.stdout if line.endswith("\n"))


async def _store(path: Path) -> SqliteBackend:
    store = SqliteBackend(path, clock=SystemClock(), durability="normal")
    await store.open()
    return store


def _rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT id, status FROM jobs").fetchall())


def test_what_was_acknowledged_survives_kills(path: Path, programs: Programs) -> None:
    chance = Random(7)
    stored: set[str] = set()
    done: Counter[str] = Counter()
    for round_ in range(KILLS):
        process = programs.start("write", f"r{round_}")
        lines = _lines(process)
        for _ in range(chance.randrange(1, LINES)):
            word, *ids = next(lines)
            stored.update(ids if word == "stored" else ())
            done.update(ids if word == "done" else ())
        process.kill()
        for word, *ids in lines:
            stored.update(ids if word == "stored" else ())
            done.update(ids if word == "done" else ())

        rows = _rows(path)
        assert stored <= rows.keys()
        assert {job_id for job_id in done if rows[job_id] != 6} == set()
    assert max(done.values()) == 1
    assert len(done) > KILLS


async def test_processes_side_by_side_never_share_a_lease(path: Path, programs: Programs) -> None:
    store = await _store(path)
    await store.enqueue([job(f"j{number}") for number in range(JOBS)])
    processes = [programs.start("drain", f"w{number}") for number in range(2)]
    settled = Counter(job_id for process in processes for _, *ids in _lines(process) for job_id in ids)
    codes = [process.wait() for process in processes]
    counts = await store.counts()
    await store.close()

    assert codes == [0, 0]
    assert set(settled.values()) == {1}
    assert len(settled) == JOBS
    assert counts == {("default", Status.COMPLETED): JOBS}


async def test_a_job_wakes_a_waiting_process_at_once(path: Path, programs: Programs) -> None:
    store = await _store(path)
    process = programs.start("wait")
    assert _line(process) == ["ready"]
    while not list(path.parent.glob("jobs.db-wake/*")):
        await store.leave("nobody")

    at = SystemClock().boot()[1]
    await store.enqueue([job("a")])
    word, woken_at = _line(process)
    await store.close()

    assert word == "woken"
    assert int(woken_at) - at < 900, "it was woken, it did not just look"


async def test_a_lock_that_another_process_holds_keeps_writers_waiting_and_readers_not(
    path: Path, programs: Programs
) -> None:
    store = await _store(path)
    await store.enqueue([job("a")])
    process = programs.start("hold")
    assert _line(process) == ["held"]

    call = asyncio.get_running_loop().create_task(store.enqueue([job("b")]))
    assert await store.counts() == {("default", Status.PENDING): 1}
    assert not call.done()
    process.kill()
    (answer,) = await call
    await store.close()

    assert answer.created


def test_a_process_that_forgets_to_close_ends_and_says_so(path: Path, programs: Programs) -> None:
    process = programs.start("forget")
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "stored a\n")
    assert "was not closed before the process ended" in err
    assert _rows(path) == {"a": 2}


def test_a_forked_child_is_refused_and_its_parent_goes_on(path: Path, programs: Programs) -> None:
    process = programs.start("fork")
    out, err = process.communicate(timeout=20)

    assert out.splitlines() == ["child 7", "counts 1"], err
    assert _rows(path) == {"parent": 2}
