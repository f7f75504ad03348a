"""Jobs in the caller's transaction, and in an outbox beside the caller's data."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import (
    ConfigError,
    DependencyNotFound,
    Engine,
    IdConflict,
    JobRegistry,
    Outbox,
    UnknownJobType,
)
from aiojobs_engine.runtime.task_group import join, start

registry = JobRegistry()
ran: list[int] = []


@registry.job(name="note")
async def note(number: int) -> None:
    ran.append(number)


@pytest.fixture
async def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    monkeypatch.chdir(tmp_path)
    ran.clear()
    made = Engine("sqlite:///jobs.db", registry=registry)
    async with made:
        yield made


def _connect(path: str = "jobs.db", **options: Any) -> sqlite3.Connection:
    connection = sqlite3.connect(path, **options)
    connection.execute("CREATE TABLE IF NOT EXISTS orders (number INTEGER)")
    connection.commit()
    return connection


@pytest.mark.seed("DJ-231")
@pytest.mark.parametrize("isolation", [None, "DEFERRED"])
async def test_a_job_is_there_when_the_transaction_commits(engine: Engine, isolation: Any) -> None:
    with closing(_connect(isolation_level=isolation)) as connection:
        connection.row_factory = lambda _cursor, row: dict(enumerate(row))
        connection.execute("BEGIN")
        connection.execute("INSERT INTO orders VALUES (1)")
        handle = await engine.dispatch_in(connection, note.options(tags=["x"]).job(1))
        assert handle.created
        assert (await engine.jobs.list()).items == []
        connection.commit()
        assert (await handle.status()).tags == ("x",)
        assert [type(event).__name__ async for event in _until_created(handle)] == ["JobCreated"]
        await engine.worker(burst=True).run()

    assert ran == [1]


async def test_a_job_is_gone_when_the_transaction_rolls_back(engine: Engine) -> None:
    with closing(_connect()) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        await engine.dispatch_in(connection, note.options(queue="new").job(1))
        connection.rollback()

    assert (await engine.jobs.list()).items == []
    await engine.dispatch(note.options(queue="new"), 2)
    await engine.worker(burst=True, queues=["new"]).run()
    assert ran == [2]


async def test_an_aiosqlite_connection_will_do(engine: Engine) -> None:
    _connect().close()
    async with aiosqlite.connect("jobs.db") as connection:
        await connection.execute("INSERT INTO orders VALUES (1)")
        handle = await engine.dispatch_in(connection, note.job(1))
        again = await engine.dispatch_in(connection, note.options(id=handle.id).job(1))
        await connection.commit()

    assert (handle.created, again.created) == (True, False)
    assert (await handle.status()).status == "pending"


async def test_unique_and_bound_jobs_keep_their_rules(engine: Engine) -> None:
    with closing(_connect()) as connection:
        connection.execute("BEGIN")
        unique = note.options(unique="key")
        first = await engine.dispatch_in(connection, unique.job(1))
        second = await engine.dispatch_in(connection, unique.job(2))
        behind = await engine.dispatch_in(connection, note.options(after=first).job(3))
        with pytest.raises(DependencyNotFound):
            await engine.dispatch_in(connection, note.options(after="nobody").job(4))
        with pytest.raises(IdConflict):
            await engine.dispatch_in(connection, note.options(id=first.id).job(5))
        connection.commit()

    assert (second.id, second.created) == (first.id, False)
    assert (await behind.status()).status == "waiting"


async def test_a_wrong_connection_is_refused_with_the_way_out(engine: Engine) -> None:
    with closing(_connect()) as connection, pytest.raises(ConfigError, match="BEGIN"):
        await engine.dispatch_in(connection, note.job(1))
    with closing(_connect("other.db")) as connection:
        connection.execute("BEGIN")
        with pytest.raises(ConfigError, match="use an outbox"):
            await engine.dispatch_in(connection, note.job(1))
    with pytest.raises(ConfigError, match="sqlite3 and aiosqlite"):
        await engine.dispatch_in("jobs.db", note.job(1))
    async with Engine("memory://", registry=registry) as other:
        with pytest.raises(ConfigError, match="outbox"):
            await other.dispatch_in(None, note.job(1))


async def _filled(outbox: Outbox, numbers: range, **options: Any) -> None:
    with closing(_connect("app.db")) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (outbox.table,)).fetchone():
            connection.execute(outbox.schema())
        for number in numbers:
            connection.execute("INSERT INTO orders VALUES (?)", (number,))
            connection.execute(*await outbox.entry(note.options(**options).job(number)))
        connection.commit()


def _left(table: str = "aiojobs_outbox") -> list[Any]:
    with closing(_connect("app.db")) as connection:
        return connection.execute(f"SELECT job_id, fault FROM {table} ORDER BY entry").fetchall()


async def test_a_relay_brings_jobs_in_order_and_once(engine: Engine) -> None:
    outbox = Outbox(engine)
    await _filled(outbox, range(1200))
    relay = outbox.relay(lambda: sqlite3.connect("app.db"))

    assert [await relay.once() for _ in range(4)] == [500, 500, 200, 0]
    await engine.worker(burst=True, concurrency=1).run()

    assert ran == list(range(1200))
    assert _left() == []


async def test_entries_that_were_relayed_but_not_deleted_are_there_already(engine: Engine) -> None:
    outbox = Outbox(engine, table="jobs_to_come")
    await _filled(outbox, range(3))
    broken = outbox.relay(_Breaking().connect)

    with pytest.raises(OSError, match="gone"):
        await broken.once()
    assert len(_left("jobs_to_come")) == 3
    await outbox.relay(lambda: sqlite3.connect("app.db")).once()

    assert (await engine.queues.stats("default")).counts == {"pending": 3}
    assert _left("jobs_to_come") == []


async def test_an_entry_that_can_not_be_stored_is_set_aside(engine: Engine, caplog: Any) -> None:
    outbox = Outbox(engine)
    await engine.dispatch(note.options(id="taken"), 0)
    await _filled(outbox, range(1, 2), id="taken")
    await _filled(outbox, range(2, 3))
    with closing(_connect("app.db")) as connection:
        connection.execute("INSERT INTO aiojobs_outbox (job_id, body) VALUES ('x', 'no envelope')")
        connection.commit()

    assert await outbox.relay(lambda: sqlite3.connect("app.db")).once() == 3
    assert await outbox.relay(lambda: sqlite3.connect("app.db")).once() == 0

    assert (await engine.queues.stats("default")).counts == {"pending": 2}
    (taken, why), (bad, unread) = _left()
    assert (taken, bad) == ("taken", "x")
    assert "taken" in why
    assert "envelope" in unread
    assert "set aside" in caplog.text


async def test_a_running_relay_outlasts_a_database_that_is_away(engine: Engine, caplog: Any) -> None:
    outbox = Outbox(engine)
    relay = outbox.relay(lambda: sqlite3.connect("app.db"))
    task = start(relay.run(every=0.01), "relay")
    while "no such table" not in caplog.text:
        await checkpoint()
    await _filled(outbox, range(2))
    relay.wake()
    while _left():
        relay.wake()
        await checkpoint()
    task.cancel()
    await join(task)

    assert (await engine.queues.stats("default")).counts == {"pending": 2}


async def test_an_entry_is_checked_where_it_is_made(engine: Engine) -> None:
    outbox = Outbox(engine)
    with pytest.raises(UnknownJobType):
        await outbox.entry(engine.named("nothing").job(number=1))
    with pytest.raises(ConfigError, match="dialect"):
        outbox.schema("oracle")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="table"):
        Outbox(engine, table="x; DROP TABLE orders")
    assert "IDENTITY" in outbox.schema("postgresql")


class _Breaking:
    """A database that is gone when the relay wants to delete."""

    def __init__(self) -> None:
        self.calls = 0

    def connect(self) -> sqlite3.Connection:
        self.calls += 1
        if self.calls > 1:
            raise OSError("gone")
        return sqlite3.connect("app.db")


async def _until_created(handle: Any) -> AsyncIterator[Any]:
    async for event in handle.events():
        yield event
        return
