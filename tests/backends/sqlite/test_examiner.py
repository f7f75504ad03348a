"""What `doctor` finds in a database: each kind of orphan is planted, and found; else nothing is."""

import shutil
import sqlite3
from pathlib import Path
from typing import NamedTuple

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, examiner
from aiojobs_engine.core.envelope import Need
from aiojobs_engine.core.needs import When
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage

PLANTED = {
    "UPDATE jobs SET body = NULL WHERE id = 'pending'": "lost their envelope and can't run: 1 (pending)",
    "DELETE FROM jobs WHERE id = 'bulk'": "lost the job that they belong to: 2 (bulk:1)",
    "UPDATE jobs SET open_chunks = 5 WHERE id = 'bulk'": "count their chunks or members wrongly",
    "UPDATE jobs SET needs = 3 WHERE id = 'dependent'": "count what they wait for wrongly",
    "UPDATE jobs SET needs = 0 WHERE id = 'dependent'": "wait for nothing any more: 1 (dependent)",
    "UPDATE jobs SET succeeded = 7 WHERE id = 'pending'": "counters that can't be: 1 (pending)",
    "INSERT INTO bodies VALUES (77, x'00')": "envelopes belong to no job: 1 (77)",
    "INSERT INTO tags VALUES ('red', 77)": "tags belong to no job: 1 (77)",
    "INSERT INTO failures (job, row_number, payload, message, history) VALUES (77, 1, '', '', '')": (
        "failed rows belong to no job: 1 (77)"
    ),
    "INSERT INTO needs (job, dependent, whether) VALUES (77, 8, 'success')": "needs name jobs that are not",
    "UPDATE jobs SET lane = 77 WHERE id = 'pending'": "1 rows point at rows of 'lanes' that are not there",
}


@pytest.fixture
async def stage(store: SqliteBackend, clock: ManualClock) -> Stage:
    stage = Stage(store, clock)
    await stage.plan("bulk", chunks=2)
    await stage.put("running", queue="other")
    await stage.take_one(queues=["other"])
    await stage.put("later", scheduled_at=stage.after(60), tags=("red",))
    await stage.put("dependent", needs=(Need("later", When.SUCCESS),))
    await stage.put("pending")
    return stage


async def errors(stage: Stage, severity: str = "error") -> list[str]:
    assert isinstance(stage.backend, SqliteBackend)
    return [found.what for found in await stage.backend.examine() if found.severity == severity]


async def test_nothing_is_found_where_nothing_is(stage: Stage) -> None:
    assert await errors(stage) == []


@pytest.mark.parametrize("statement", PLANTED)
async def test_what_is_planted_is_found(stage: Stage, path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()

    assert any(PLANTED[statement] in what for what in await errors(stage)), await errors(stage)


async def test_a_damaged_file_is_told(stage: Stage, path: Path) -> None:
    await stage.put(*[f"many{number}" for number in range(2000)])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'jobs_ready'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size + size // 2)
        file.write(b"\xff" * (size // 2))

    store = SqliteBackend(path, clock=stage.clock)
    await store.open()
    assert any("the file is damaged" in finding.what for finding in await store.examine())
    await store.close()


async def test_what_is_late_is_a_warning(stage: Stage) -> None:
    await stage.clock.advance(200)

    warnings = await errors(stage, "warning")

    assert any("1 leases ended over a minute ago" in what for what in warnings)
    assert any("1 jobs have been due for over a minute" in what for what in warnings)


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


async def test_a_wrong_place_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    mib = 1024 * 1024
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    monkeypatch.setattr(examiner, "is_on_network", lambda _: "nfs4")
    monkeypatch.setattr(examiner, "LOG_BYTES", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(1, 1, 10 * mib))

    warnings = await errors(stage, "warning")

    assert await errors(stage) == ["10 MiB are free on the disk"]
    assert len(warnings) == 3
    assert "can lose commits" in warnings[0]
    assert "network file system (nfs4)" in warnings[1]
    assert "the log has grown" in warnings[2]
    assert "power cut" in (await errors(stage, "note"))[0]
    monkeypatch.setattr(examiner, "_FREE_BYTES", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(1, 1, 2))
    assert any("no backup fits beside it" in what for what in await errors(stage, "warning"))
