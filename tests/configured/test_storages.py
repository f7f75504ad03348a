"""Where the rows and files of jobs lie, per type over per kind over global, and for how long."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, Retry
from aiojobs_engine.runtime.upkeep import Pruner
from aiojobs_engine.testing import TestEngine
from tests.exports.conftest import left_in

DRIVER = """
from aiojobs_engine.bulk.storage import LocalStorage


class Drawer(LocalStorage):
    def __init__(self, path: str) -> None:
        super().__init__("drawer-" + path)


def broken(path: str) -> Drawer:
    raise OSError("no such drawer")


def nothing(path: str) -> object:
    return object()
"""


class Row(msgspec.Struct):
    n: int


def engine_of(**config: Any) -> Engine:
    engine = Engine("sqlite:///jobs.db", config=config)

    @engine.importer("numbers", row=Row, retry=Retry.none())
    async def import_numbers(rows: list[Row]) -> None:
        if any(row.n < 0 for row in rows):
            raise ValueError("negative")

    @engine.exporter("squares", columns=["n"], key="n", delivery="link")
    async def export_squares(ctx: JobContext) -> AsyncIterator[Row]:
        for n in range(3):
            yield Row(n * n)

    return engine


def in_use(*directories: str) -> list[str]:
    return [name for name in directories if Path(name).exists() and left_in(Path(name))]


@pytest.mark.parametrize(
    "config, sources, files",
    [
        ({}, "main", "main"),
        ({"kinds": {"import": {"storage": {"path": "kind"}}}}, "kind", "main"),
        ({"jobs": {"squares": {"storage": {"path": "type"}}}}, "main", "type"),
        (
            {
                "kinds": {"import": {"storage": {"path": "kind"}}},
                "jobs": {"numbers": {"storage": {"path": "type"}}},
            },
            "type",
            "main",
        ),
        ({"kinds": {"export": {"storage": {"driver": "shop.drawers:Drawer"}}}}, "main", "drawer-main"),
    ],
)
async def test_the_nearest_level_says_where_files_lie(
    here: Path, config: dict[str, Any], sources: str, files: str
) -> None:
    (here / "shop" / "drawers.py").write_text(DRIVER)
    engine = engine_of(storage={"path": "main"}, **config)
    everywhere = ("main", "kind", "type", "drawer-main")
    async with engine:
        imported = await engine.dispatch("numbers", [{"n": 1}, {"n": -1}])
        assert in_use(*everywhere) == [sources]
        exported = await engine.dispatch("squares")
        await engine.worker(burst=True, await_retries=True).run()
        assert (await imported.status()).failed == 1
        file = await exported.result(timeout=0)
        async with engine.exports.open(file.id) as path:
            assert path.read_text().split() == ["n", "0", "1", "4"]
        assert in_use(*everywhere) == sorted({sources, files}, key=everywhere.index)
        assert await engine.failures.retry(imported.id) == 1
        await engine.worker(burst=True).run()

        await engine.exports.remove(file.id)
        await engine.jobs.delete(imported.id)
        assert in_use(*everywhere) == []


async def test_programs_without_the_code_find_all_files() -> None:
    config = {"storage": {"path": "main"}, "jobs": {"numbers": {"storage": {"path": "type"}}}}
    async with engine_of(**config) as engine:
        imported = await engine.dispatch("numbers", [{"n": 1}])
        await engine.worker(burst=True).run()
    async with Engine("sqlite:///jobs.db", config=config) as engine:
        await engine.jobs.delete(imported.id)
    assert in_use("main", "type") == []


@pytest.mark.parametrize(
    "driver, message",
    [
        ("loca", "is neither 'local' nor a module:attribute; did you mean 'local'"),
        (
            "shop.drawrs:Drawer",
            "'shop.drawrs:Drawer' can't be used.*did you mean 'shop.drawers'",
        ),
        ("shop.drawers:broken", "raised OSError: no such drawer"),
        ("shop.drawers:nothing", "is no storage: it lacks expire, keep, keep_until, open, put, remove"),
        ("shop.drawers:__name__", "is nothing that could be called"),
    ],
)
@pytest.mark.parametrize("level", ["storage", "kinds", "jobs"])
async def test_a_driver_is_checked_at_the_start(here: Path, level: str, driver: str, message: str) -> None:
    (here / "shop" / "drawers.py").write_text(DRIVER)
    given: dict[str, Any] = {"driver": driver}
    config = {
        "storage": {"storage": given},
        "kinds": {"kinds": {"import": {"storage": given}}},
        "jobs": {"jobs": {"numbers": {"storage": given}}},
    }
    engine = engine_of(**config[level])
    with pytest.raises(ConfigError, match=message):
        await engine.__aenter__()
    assert not engine.is_open


@pytest.mark.parametrize("ttl", [None, 3600.0])
async def test_a_source_goes_when_its_time_is_over_and_its_import_has_ended(
    ttl: float | None,
) -> None:
    goes = ttl is not None
    engine = engine_of(kinds={"import": {"storage": {"ttl": ttl}}}, retention={"completed": {"age": "9d"}})
    async with TestEngine(engine) as t:
        paused = await engine.dispatch("numbers", [{"n": 1}])
        await engine.jobs.pause(paused.id)
        ended = await engine.dispatch("numbers", [{"n": 2}])
        await t.drain()
        kept = await _owners(engine, [paused.id, ended.id])
        assert kept == [paused.id, ended.id]

        await t.advance(3000)
        await _expire(engine, t)
        assert await _owners(engine, kept) == kept
        await t.advance(3000)
        await _expire(engine, t)
        assert await _owners(engine, kept) == ([paused.id] if goes else kept)

        await engine.jobs.resume(paused.id)
        await t.drain()
        await _expire(engine, t)
        assert await _owners(engine, kept) == ([] if goes else kept)
        assert (await ended.status()).status == "completed"


async def _expire(engine: Engine, t: TestEngine) -> None:
    async def nothing(ids: Any) -> None: ...

    pruner = Pruner(engine.store, t.clock, engine.settings, nothing, engine.storage.expire)
    await pruner.expired()


async def _owners(engine: Engine, job_ids: list[str]) -> list[str]:
    """Those of the jobs that have a source in the storage."""
    envelopes = await engine.store.envelopes(job_ids)
    found = []
    for envelope in envelopes:
        assert envelope is not None
        source = msgspec.json.decode(envelope.payload)["source"]
        async with engine.storage.open(source) as path:
            if path.is_file():
                found.append(envelope.id)
    return found
