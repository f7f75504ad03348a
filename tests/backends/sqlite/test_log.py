"""A power cut leaves some prefix of the log, and the store then holds a prefix of what it did."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.sqlite.conftest import Opened

HEADER = 32
FRAME = 24 + 4096


def _cuts(length: int) -> list[int]:
    frames = range(HEADER, length + 1, FRAME)
    return sorted({at + by for at in [0, *frames] for by in (-1, 0, 1) if 0 <= at + by <= length})


def _found(path: Path) -> tuple[int, int, int]:
    """Jobs, jobs that completed, and events; all 0 before the tables were made."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return 0, 0, 0
        return (
            connection.execute("SELECT count(*) FROM jobs").fetchone()[0],
            connection.execute("SELECT count(*) FROM jobs WHERE status = 6").fetchone()[0],
            connection.execute("SELECT coalesce(sum(count), 0) FROM events").fetchone()[0],
        )


async def test_a_log_cut_anywhere_holds_a_prefix_of_the_commits(
    path: Path, store: SqliteBackend, stage: Stage, tmp_path: Path
) -> None:
    states = [(0, 0, 0)]
    for number in range(3):
        await stage.put(f"j{number}")
        states.append((number + 1, number, 3 * number + 1))
        claim = await stage.take_one()
        states.append((number + 1, number, 3 * number + 2))
        await stage.settle(claim, Status.COMPLETED)
        states.append((number + 1, number + 1, 3 * number + 3))
    log = path.with_name("jobs.db-wal").read_bytes()
    assert (len(log) - HEADER) % FRAME == 0

    seen = []
    for length in _cuts(len(log)):
        copy = tmp_path / "copy.db"
        shutil.copy(path, copy)
        copy.with_name("copy.db-wal").write_bytes(log[:length])
        seen.append(_found(copy))
        for file in tmp_path.glob("copy.db*"):
            file.unlink()

    assert set(seen) == set(states)
    assert seen == sorted(seen)
    assert seen[-1] == states[-1]


async def test_what_is_left_of_a_cut_log_opens_and_goes_on(
    path: Path, opened: Opened, clock: ManualClock, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.db"
    async with opened() as store:
        stage = Stage(store, clock)
        await stage.put("a")
        claim = await stage.take_one(lease=10.0)
        shutil.copy(path, cut)
        log = path.with_name("jobs.db-wal").read_bytes()
        await stage.settle(claim, Status.COMPLETED)
    cut.with_name("cut.db-wal").write_bytes(log[:-1])

    again = SqliteBackend(cut, clock=ManualClock(), durability="normal")
    await again.open()
    stage = Stage(again, ManualClock())

    assert [claim.envelope.id for claim in await stage.take()] == ["a"]
    await again.close()


async def test_a_log_that_a_reader_held_up_is_used_again_once_he_is_gone(
    path: Path, clock: ManualClock, connections: list[sqlite3.Connection], opened: Opened
) -> None:
    log = path.with_name("jobs.db-wal")
    async with opened() as store:
        connections[0].execute("PRAGMA wal_autocheckpoint = 20")
        stage = Stage(store, clock)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM jobs").fetchone()
            for number in range(50):
                await stage.put(f"a{number}")
            held_up = log.stat().st_size
        for number in range(50):
            await stage.put(f"b{number}")

        assert held_up > 50 * FRAME
        assert log.stat().st_size < held_up + 20 * FRAME
