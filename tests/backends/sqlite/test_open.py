import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, alarms, connect
from aiojobs_engine.backends.sqlite.alarms import loses_commits
from aiojobs_engine.backends.sqlite.migrate import APPLICATION_ID, SCHEMA
from aiojobs_engine.backends.sqlite.sql import migration
from aiojobs_engine.core.errors import (
    BackendClosed,
    BackendUnavailable,
    ConfigError,
    ForkedEngineError,
    SchemaMismatch,
)
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import WATCH, Stage
from tests.backends.sqlite.conftest import Opened


def _set(path: Path, name: str, value: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {name} = {value}")


async def _expect_refused(path: Path, error: type[Exception], message: str) -> None:
    store = SqliteBackend(path, clock=ManualClock())
    with pytest.raises(error, match=message):
        await store.open()
    with pytest.raises(BackendClosed):
        await store.get(["x"])
    await store.close()


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    await _expect_refused(
        tmp_path / "nowhere" / "jobs.db", ConfigError, "nowhere is no directory.*create it first"
    )


async def test_a_directory_is_no_database(tmp_path: Path) -> None:
    await _expect_refused(tmp_path, ConfigError, "is a directory")


async def test_a_directory_that_denies_writing_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, _: place != path.parent)

    await _expect_refused(path, ConfigError, "is read-only; SQLite writes its log beside jobs.db")


async def test_a_file_that_denies_writing_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    monkeypatch.setattr(os, "access", lambda place, _: place != path)

    await _expect_refused(path, ConfigError, "jobs.db is read-only")


async def test_a_place_that_takes_no_files_is_named() -> None:
    await _expect_refused(Path("/proc/jobs.db"), ConfigError, "/proc")


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.write_bytes(b"these are no jobs\n" * 300)

    await _expect_refused(path, SchemaMismatch, "is not an SQLite database; name another file")

    assert path.read_bytes() == b"these are no jobs\n" * 300


async def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()

    await _expect_refused(path, SchemaMismatch, "belongs to another program; name another file")

    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["application_id", "user_version"])
async def test_a_database_marked_by_another_program_is_left_alone(path: Path, name: str) -> None:
    _set(path, name, 77)

    await _expect_refused(path, SchemaMismatch, "belongs to another program")


async def test_a_newer_schema_says_which_was_found_and_which_is_known(path: Path, opened: Opened) -> None:
    async with opened():
        pass
    _set(path, "user_version", SCHEMA + 1)

    await _expect_refused(path, SchemaMismatch, f"schema version {SCHEMA + 1}.*knows up to {SCHEMA}: upgrade")


async def test_an_empty_file_becomes_a_store(path: Path, opened: Opened) -> None:
    path.touch()

    async with opened() as store:
        assert await store.counts() == {}

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


async def test_it_syncs_as_its_durability_says(
    path: Path, clock: ManualClock, connections: list[sqlite3.Connection]
) -> None:
    for durability in ("full", "normal"):
        store = SqliteBackend(path, clock=clock, durability=durability)
        await store.open()
        level = connections[-1].execute("PRAGMA synchronous").fetchone()[0]
        assert level == {"full": 2, "normal": 1}[durability]
        assert connections[-1].execute("PRAGMA journal_mode").fetchone() == ("wal",)
        await store.close()


async def test_it_leaves_a_single_file_and_its_number_behind(path: Path, opened: Opened) -> None:
    async with opened() as store:
        await Stage(store, ManualClock()).put("a")

    assert sorted(file.name for file in path.parent.iterdir()) == ["jobs.db", "jobs.db-gen"]


async def test_opened_twice_and_closed_twice_it_is_the_same(store: SqliteBackend) -> None:
    await store.open()
    await store.close()
    await store.close()

    with pytest.raises(BackendClosed, match=r"jobs.db is not open"):
        await store.wait(WATCH, 1)


async def test_opened_again_it_still_holds_its_jobs(opened: Opened, clock: ManualClock) -> None:
    async with opened() as store:
        await Stage(store, clock).put("a")
    async with opened() as store:
        assert [job.id for job in await Stage(store, clock).all_jobs()] == ["a"]


async def test_after_a_fork_every_call_is_expect_refused(
    store: SqliteBackend, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        for call in (stage.put("a"), store.get(["a"]), store.tail(), store.wait(WATCH, 1)):
            with pytest.raises(ForkedEngineError, match="open a new engine after a fork"):
                await call

    await stage.put("a")


async def test_a_forked_child_may_close_but_not_open_again(
    path: Path, clock: ManualClock, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(ForkedEngineError):
                await store.open()
        await Stage(store, clock).put("a")


@pytest.mark.parametrize("fate", ["deleted", "replaced"])
async def test_a_file_that_is_gone_is_not_made_anew(
    path: Path, store: SqliteBackend, stage: Stage, fate: str
) -> None:
    await stage.put("a")
    path.rename(path.with_name("moved.db"))
    if fate == "replaced":
        path.write_bytes(b"")

    for call in (stage.put("b"), store.get(["a"]), store.tail()):
        with pytest.raises(BackendUnavailable, match=r"was (deleted|replaced) while it was open"):
            await call

    assert path.exists() is (fate == "replaced")


async def test_a_copy_without_its_log_is_noticed(
    path: Path, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened():
        shutil.copy(path, path.with_name("copy.db"))
    async with opened() as store:
        await Stage(store, ManualClock()).put("a")
    assert caplog.messages == []
    shutil.copy(path.with_name("copy.db"), path)

    async with opened() as store:
        assert await store.counts() == {}

    assert len(caplog.messages) == 1
    assert "restored without its -wal file" in caplog.messages[0]


async def test_a_new_file_is_not_taken_for_an_old_copy(
    path: Path, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened():
        pass
    path.unlink()

    async with opened():
        pass

    assert caplog.messages == []


@pytest.mark.parametrize("kind, warnings", [("nfs4", 1), ("cifs", 1), ("ext4", 0), ("tmpfs", 0)])
def test_a_network_file_system_is_warned_of(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    warnings: int,
) -> None:
    mounts = f"1 0 8:1 / / rw - xfs /dev/a rw\n2 1 8:2 / {path.parent} rw - {kind} server:/a rw\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)

    connect.check_place(path)

    assert len([text for text in caplog.messages if f"network file system ({kind})" in text]) == warnings


@pytest.mark.parametrize(
    "version, answer",
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_the_versions_that_lose_commits_are_known(version: tuple[int, ...], answer: object) -> None:
    assert loses_commits(version) is answer


async def test_a_bad_version_is_warned_of_once_when_others_write_too(
    store: SqliteBackend, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    for _ in range(3):
        await store.promote(10)
    assert caplog.messages == []

    async with opened() as other:
        for name in ("a", "b"):
            await other.leave(name)
            await store.promote(10)

    assert len([text for text in caplog.messages if "can lose commits" in text]) == 1


async def test_a_log_that_grows_is_told_once(
    store: SqliteBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alarms, "LOG_BYTES", 0)

    for _ in range(3):
        await store.promote(10)

    assert len([text for text in caplog.messages if "has grown to" in text]) == 1
    assert logging.getLevelName(caplog.records[0].levelno) == "WARNING"


async def test_a_relative_path_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteBackend(Path("jobs.db"), clock=clock, durability="normal")
    await store.open()
    (tmp_path / "elsewhere").mkdir()

    monkeypatch.chdir(tmp_path / "elsewhere")
    await Stage(store, clock).put("a")

    assert [job.id for job in await Stage(store, clock).all_jobs()] == ["a"]
    await store.close()


async def test_a_database_of_the_first_schema_is_brought_up_to_date(path: Path, clock: ManualClock) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(migration(1) or "")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    store = SqliteBackend(path, clock=clock)

    await store.open()

    assert (await store.crons(), await store.crons_version()) == ([], 0)
    await store.close()
