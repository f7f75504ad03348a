import asyncio
import sqlite3
from pathlib import Path

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.backends.sqlite.errors import translated, translated_at_open
from aiojobs_engine.backends.sqlite.wake import Bell
from aiojobs_engine.core.errors import BackendFull, BackendUnavailable, ConfigError, SchemaMismatch
from aiojobs_engine.testing.conformance.stage import Stage

PATH = Path("jobs.db")


def _error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("something")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "code, kind, words",
    [
        (sqlite3.SQLITE_FULL, BackendFull, "has no room"),
        (sqlite3.SQLITE_TOOBIG, BackendFull, "can't hold a value of this size"),
        (sqlite3.SQLITE_BUSY, BackendUnavailable, "held the write lock"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, BackendUnavailable, "held the write lock"),
        (sqlite3.SQLITE_CORRUPT, BackendUnavailable, "is damaged.*restore a backup"),
        (sqlite3.SQLITE_IOERR_FSYNC, BackendUnavailable, "can't be used"),
        (sqlite3.SQLITE_READONLY, BackendUnavailable, "can't be used"),
    ],
)
def test_what_the_store_suffers_is_told_in_the_ports_words(
    code: int, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        raise translated(_error(code), PATH)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_MISMATCH]
)
def test_a_fault_of_our_own_stays_what_it_is(code: int) -> None:
    error = _error(code)

    assert translated(error, PATH) is error


@pytest.mark.parametrize(
    "code, kind",
    [
        (sqlite3.SQLITE_NOTADB, SchemaMismatch),
        (sqlite3.SQLITE_CANTOPEN, ConfigError),
        (sqlite3.SQLITE_READONLY_DIRECTORY, ConfigError),
        (sqlite3.SQLITE_BUSY, BackendUnavailable),
    ],
)
def test_at_the_opening_the_place_is_to_blame(code: int, kind: type[Exception]) -> None:
    assert isinstance(translated_at_open(_error(code), PATH), kind)


async def test_the_writer_survives_a_round_that_breaks_off(
    store: SqliteBackend, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("broken bell")

    with monkeypatch.context() as patch:
        patch.setattr(Bell, "ring", breaks)
        with pytest.raises(RuntimeError, match="broken bell"):
            await stage.put("a")

    assert [answer.created for answer in await stage.put("a")] == [False]
    assert "broke off" in caplog.text


async def test_a_damaged_page_is_told_and_nothing_hangs(
    store: SqliteBackend, stage: Stage, path: Path, connections: list[sqlite3.Connection]
) -> None:
    await stage.put(*[f"j{number}" for number in range(500)])
    connections[0].execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))

    with pytest.raises(BackendUnavailable, match=r"jobs\.db is damaged"):
        await store.get([f"j{number}" for number in range(500)])


async def test_a_sink_that_raises_keeps_no_caller_waiting(store: SqliteBackend, stage: Stage) -> None:
    def breaks(_: object) -> None:
        raise RuntimeError("broken sink")

    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    store.tap(breaks)

    assert [answer.created for answer in await stage.put("a")] == [True]
    assert [str(error) for error in told] == ["broken sink"]
