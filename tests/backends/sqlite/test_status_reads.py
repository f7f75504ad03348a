"""Statuses on SQLite: read in the loop, so that no thread has to find its turn on a busy machine."""

import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from aiojobs_engine import BackendUnavailable, Engine, JobStatus


class Refusing:
    """A connection whose statements fail with a result code."""

    def __init__(self, code: int) -> None:
        self.code = code

    def execute(self, *_: object) -> Any:
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = self.code
        raise error

    execute_fetchall = execute

    def close(self) -> None:
        pass


def reader_of(engine: Engine) -> Any:
    return cast("Any", engine.store)._reader


def made(path: Path) -> tuple[Engine, Any]:
    engine = Engine(f"sqlite:///{path}/jobs.db")

    @engine.job(name="greet")
    async def greet(name: str) -> str:
        return name

    return engine, greet


async def both(engine: Engine, job_id: str) -> tuple[JobStatus, list[JobStatus]]:
    many = [job_id, *(f"none-{number}" for number in range(20))]
    return await engine.jobs.get(job_id), [job for job in await engine.store.get(many) if job is not None]


async def test_a_few_statuses_take_no_thread_and_many_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, greet = made(tmp_path)
    async with engine:
        handle = await engine.dispatch(greet, name="Ada")
        one, several = await both(engine, handle.id)
        assert several == [one]

        monkeypatch.setattr(reader_of(engine), "_connection", Refusing(sqlite3.SQLITE_IOERR))
        assert await handle.status() == one
        with pytest.raises(BackendUnavailable):
            await both(engine, handle.id)
        monkeypatch.undo()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED])
async def test_a_read_that_would_wait_goes_to_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    engine, greet = made(tmp_path)
    async with engine:
        handle = await engine.dispatch(greet, name="Ada")
        before = await handle.status()
        monkeypatch.setattr(reader_of(engine), "_near", Refusing(code))
        assert await handle.status() == before
        monkeypatch.setattr(reader_of(engine), "_near", Refusing(sqlite3.SQLITE_IOERR))
        with pytest.raises(BackendUnavailable):
            await handle.status()
        monkeypatch.undo()


async def test_what_another_process_writes_is_read_at_once(tmp_path: Path) -> None:
    engine, greet = made(tmp_path)
    other, _ = made(tmp_path)
    async with engine, other:
        handle = await engine.dispatch(greet, name="Ada")
        assert (await handle.status()).status == "pending"
        await other.jobs.pause(handle.id)
        assert (await handle.status()).status == "paused"
