"""Statuses and failed rows in tables of the application's own."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, Retry, StatusMirror, sqlite_table
from aiojobs_engine.testing import TestEngine

TABLES = """
CREATE TABLE job (id TEXT PRIMARY KEY, state TEXT, share REAL, user TEXT, meta TEXT, made TEXT);
CREATE TABLE bad_row (job TEXT, line INTEGER, why TEXT, mended INTEGER, history TEXT, UNIQUE (job, line));
"""


class Row(msgspec.Struct):
    n: int


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.executescript(TABLES)
    connection.close()
    return path


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def mirror_into(path: Path) -> StatusMirror:
    return StatusMirror(
        sqlite_table(path, "job", key="id"),
        {
            "id": "id",
            "state": "status",
            "share": lambda job: job.processed / job.total if job.total else 0.0,
            "user": "user_id",
            "meta": "meta",
            "made": "created_at",
        },
        failures=sqlite_table(path, "bad_row", key=("job", "line")),
        failure_columns={
            "job": "job_id",
            "line": "row_number",
            "why": "message",
            "mended": "resolved",
            "history": "history",
        },
    )


async def until(path: Path, query: str, wanted: list[tuple[Any, ...]]) -> None:
    """Return when the listener has written it; the test's timeout ends a vain wait."""
    import anyio

    while read(path, query) != wanted:
        await anyio.to_thread.run_sync(lambda: None)


async def test_an_import_is_followed_to_its_mended_rows(tables: Path) -> None:
    engine = Engine("memory://", config={"chunking": {"size": 2, "threshold": 2}})
    refused = {3}

    @engine.importer("numbers", row=Row, retry=Retry.none())
    async def import_numbers(ctx: JobContext, rows: list[Row]) -> None:
        for row in rows:
            if row.n in refused:
                ctx.fail_row(row, "not three", field="n")

    mirror_into(tables).follow(engine, kind="import")
    async with TestEngine(engine) as t:
        options = import_numbers.options(user_id=7, meta={"from": "here"})
        handle = await engine.dispatch(options, [{"n": n} for n in range(6)])
        await t.drain()
        await until(tables, "SELECT id, state, share, user, meta FROM job", [
            (handle.id, "partial", 1.0, "7", '{"from":"here"}')
        ])  # fmt: skip
        await until(tables, "SELECT job, line, why, mended FROM bad_row", [(handle.id, 4, "not three", 0)])
        refused.clear()
        await engine.failures.retry(handle.id)
        await t.drain()
        await until(tables, "SELECT state FROM job", [("completed",)])
        await until(tables, "SELECT line, mended FROM bad_row", [(4, 1)])
    ((made,),) = read(tables, "SELECT made FROM job")
    assert made.endswith("+00:00")


async def test_what_nobody_followed_is_caught_up(tables: Path) -> None:
    engine = Engine("memory://")

    @engine.job(kind="sync")
    async def sync() -> None: ...

    @engine.job()
    async def other() -> None: ...

    async with TestEngine(engine) as t:
        handles = await engine.dispatch_many(sync.job() for _ in range(3))
        await engine.dispatch(other)
        await t.drain()
        mirror = mirror_into(tables)
        assert await mirror.catch_up(engine, kind="sync") == 3
        assert await mirror.catch_up(engine, kind="sync") == 3
    assert sorted(read(tables, "SELECT id, state FROM job")) == sorted(
        (one.id, "completed") for one in handles
    )


async def test_any_async_function_will_do() -> None:
    engine = Engine("memory://")
    written: list[dict[str, Any]] = []

    async def write(rows: list[dict[str, Any]]) -> None:
        written.extend(rows)

    @engine.job(name="plain")
    async def plain() -> None: ...

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(plain)
        await t.drain()
        await StatusMirror(write).catch_up(engine)
    assert written == [
        {
            "id": handle.id,
            "type": "plain",
            "kind": "job",
            "status": "completed",
            "processed": 0,
            "total": 0,
            "succeeded": 0,
            "failed": 0,
            "user_id": None,
            "strategy": "single",
        }
    ]


async def nothing(rows: list[dict[str, Any]]) -> None:
    del rows


def test_wrong_mappings_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JobStatus has no field 'proccessed'; did you mean 'processed'"):
        StatusMirror(nothing, {"done": "proccessed"})
    with pytest.raises(ConfigError, match="JobFailure has no field 'row'"):
        StatusMirror(nothing, failures=nothing, failure_columns={"line": "row"})
    for table, key in [("a b", "id"), ("t", 'id"; DROP'), ("", "id")]:
        with pytest.raises(ConfigError, match="no name of a table or column"):
            sqlite_table(tmp_path / "app.db", table, key)


async def test_a_column_is_a_name_too(tables: Path) -> None:
    with pytest.raises(ConfigError, match="no name of a table or column"):
        await sqlite_table(tables, "job", "id")([{"id": 1, 'x" = 1; --': 2}])


@dataclass
class Base:
    id: str


@dataclass
class ImportStatus(Base):
    """A model of the application: some fields are the engine's, some its own."""

    kind: str
    status: str
    processed: int
    failed: int
    colour: str = "green"


async def test_a_model_says_which_columns_there_are(tmp_path: Path) -> None:
    engine = Engine("memory://")
    models: dict[str, ImportStatus] = {}

    async def save(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            models[row["id"]] = ImportStatus(**row)

    @engine.job(name="plain")
    async def plain() -> None: ...

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(plain)
        await t.drain()
        await StatusMirror(save, ImportStatus).catch_up(engine)
    assert models == {handle.id: ImportStatus(handle.id, "job", "completed", 0, 0)}


class Slip:
    id: str
    proccessed: int


class Strange:
    colour: str


def test_a_model_with_a_slip_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"Slip.proccessed: JobStatus has no such field; did you mean 'processed'"
    ):
        StatusMirror(nothing, Slip)
    with pytest.raises(ConfigError, match="Strange has no field of JobFailure"):
        StatusMirror(nothing, failure_columns=Strange)


def bulk_engine(url: str, *, mirror: StatusMirror | None) -> Engine:
    """A process of the application: an importer, and with `mirror` the tables are kept."""
    engine = Engine(url, config={"chunking": {"size": 2, "threshold": 2}})

    @engine.importer("numbers", row=Row, retry=Retry.none())
    async def import_numbers(rows: list[Row]) -> None: ...

    if mirror is not None:
        mirror.follow(engine, kind="import", durable="mirror")
    return engine


async def test_a_durable_mirror_goes_on_after_a_restart_with_what_others_did(
    engine: Engine, tables: Path
) -> None:
    url = engine.settings.url
    rows = [{"n": 1}, {"n": "x"}, {"n": 3}, {"n": "y"}, {"n": 5}]

    async def worked(followed: Engine, dispatches: int) -> list[str]:
        async with followed:
            handles = [await followed.dispatch("numbers", rows) for _ in range(dispatches)]
            await followed.worker(burst=True).run()
            return [handle.id for handle in handles]

    ids = await worked(bulk_engine(url, mirror=mirror_into(tables)), 1)
    assert read(tables, "SELECT id, state FROM job") == [(ids[0], "partial")]
    if url.startswith("memory:"):
        return
    ids += await worked(bulk_engine(url, mirror=None), 2)
    assert len(read(tables, "SELECT id FROM job")) == 1
    ids += await worked(bulk_engine(url, mirror=mirror_into(tables)), 1)
    assert sorted(read(tables, "SELECT id, state, share FROM job")) == sorted(
        (i, "partial", 1.0) for i in ids
    )
    assert sorted(read(tables, "SELECT job, line FROM bad_row")) == sorted(
        (i, n) for i in ids for n in (2, 4)
    )


async def test_a_table_that_is_locked_for_a_while_loses_nothing(tables: Path) -> None:
    engine = Engine("memory://")
    into, tries = sqlite_table(tables, "job", key="id"), 0

    async def write(rows: list[dict[str, Any]]) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError("the database restarts")
        await into(rows)

    @engine.job(name="plain")
    async def plain() -> None: ...

    StatusMirror(write, {"id": "id", "state": "status"}).follow(engine, durable="mirror")
    async with TestEngine(engine) as t:
        handle = await engine.dispatch(plain)
        await t.drain()
        await t.advance(30)
        await until(tables, "SELECT id, state FROM job", [(handle.id, "completed")])
    assert tries > 2
