"""Where files go: to a path, into the storage, for how long, and never where a stranger's name leads."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import DeliveryError, Engine, ExportNotFound, JobFailedError, PayloadError, Retry
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.bulk.delivery import Target, offered_name
from aiojobs_engine.bulk.storage import LocalStorage
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.instant import Instant, later
from aiojobs_engine.ports.storage import StoredJobs
from aiojobs_engine.runtime.upkeep import Pruner
from aiojobs_engine.testing import TestEngine
from aiojobs_engine.testing.clock import ManualClock
from tests.exports.conftest import exported, left_in, rows_of

OUTWARD = [
    "../../x.csv",
    "a/../../x.csv",
    "..\\x.csv",
    "C:\\x.csv",
    "C:x.csv",
    "x\0.csv",
    "x\n.csv",
    "CON.csv",
    "nul.csv",
    f"{'a' * 300}.csv",
    "ü" * 120 + ".csv",
]


async def no_jobs(owners: Sequence[str]) -> Sequence[str]:
    return ()


def numbers(engine: Engine, count: int = 3, **options: Any) -> Any:
    @engine.exporter("numbers", columns=["n"], **options)
    async def export_numbers() -> AsyncIterator[dict[str, int]]:
        for n in range(count):
            yield {"n": n}

    return export_numbers


@pytest.mark.case("X9")
@pytest.mark.parametrize("to", OUTWARD)
async def test_a_path_that_leads_elsewhere_is_refused(engine: Engine, tmp_path: Path, to: str) -> None:
    export = numbers(engine)
    async with engine:
        with pytest.raises(PayloadError) as caught:
            await engine.dispatch(export, to=to)
    assert caught.value.argument == "to"
    assert left_in(tmp_path) == []


@pytest.mark.case("X9")
@pytest.mark.parametrize("to", [*OUTWARD, "/etc/cron.d/x.csv", "a/b.csv", '<b>"x".csv', " .csv", "....csv"])
async def test_a_name_that_is_only_offered_leads_nowhere(engine: Engine, tmp_path: Path, to: str) -> None:
    file, _ = await exported(engine, numbers(engine), to=to, delivery="link")
    assert file.path is None
    assert not set(file.name) & set('/\\:\0\n<>"|?*')
    assert file.name.endswith(".csv")
    assert len(file.name.encode()) < 128
    assert not file.name.startswith((".", " "))
    assert all(name.startswith("aiojobs-files/") for name in left_in(tmp_path))


@pytest.mark.case("X9")
@pytest.mark.parametrize(
    "to, name",
    [
        ("users.csv", "users.csv"),
        ("Umsätze 2026.csv.gz", "Umsätze 2026.csv.gz"),
        ("/home/ada/q1.csv", "q1.csv"),
        ("CON.csv", "report.csv"),
        ("...csv", "report.csv"),
    ],
)
def test_what_is_offered_is_the_last_part(to: str, name: str) -> None:
    assert offered_name(to, ".csv.gz" if to.endswith(".gz") else ".csv", "report") == name


@pytest.mark.case("X9")
async def test_a_link_gives_way_and_is_not_followed(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (tmp_path / "users.csv").symlink_to(tmp_path / "secret")
    await exported(engine, numbers(engine), to="users.csv")
    assert (tmp_path / "secret").read_text() == "of somebody else"
    assert not (tmp_path / "users.csv").is_symlink()
    assert len(rows_of("users.csv")) == 4


@pytest.mark.case("X9")
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
async def test_what_is_no_file_is_not_replaced(engine: Engine, tmp_path: Path, make: Any) -> None:
    make(tmp_path / "users.csv")
    export = numbers(engine)
    async with engine:
        with pytest.raises(PayloadError, match="is there already, and no regular file"):
            await engine.dispatch(export, to="users.csv")


async def test_a_directory_that_is_not_there_is_told_at_the_dispatch(engine: Engine) -> None:
    export = numbers(engine)
    async with engine:
        with pytest.raises(PayloadError, match="there is no directory"):
            await engine.dispatch(export, to="nowhere/users.csv")


async def test_a_directory_that_went_away_fails_the_attempt(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export = numbers(engine, retry=Retry.none())
    async with engine:
        handle = await engine.dispatch(export, to=Path("out/users.csv"))
        (tmp_path / "out").rmdir()
        await engine.worker(burst=True).run()
        with pytest.raises(JobFailedError, match=r"DeliveryError: .*can't be written: No such file"):
            await handle.result(timeout=0)
    assert left_in(tmp_path) == []


async def test_without_a_path_the_file_stays_in_the_storage(engine: Engine, tmp_path: Path) -> None:
    file, _ = await exported(engine, numbers(engine).options(user_id=7))
    assert (file.path, file.name) == (None, "numbers.csv")
    assert file.id is not None
    async with engine:
        async with engine.exports.open(file.id, user_id="7") as path:
            assert [n for (n,) in rows_of(path)] == ["n", "0", "1", "2"]
        assert await engine.exports.get(file.id, user_id=7) == file
        saved = await engine.exports.save(file.id, tmp_path / "copy.csv")
        assert saved == file
        assert (tmp_path / "copy.csv").read_bytes() == b"n\r\n0\r\n1\r\n2\r\n"
        await engine.exports.remove(file.id)
        with pytest.raises(ExportNotFound):
            await engine.exports.get(file.id)


@pytest.mark.case("X9")
async def test_an_id_of_somebody_else_is_no_id(engine: Engine) -> None:
    file, _ = await exported(engine, numbers(engine).options(user_id=7))
    async with engine:
        ids = [
            file.id,
            "",
            ".",
            "..",
            "../x",
            "a/b",
            f"{file.id}x",
            "export-" + "0" * 32 + "." + "0" * 32,
            "\0",
        ]
        for file_id, user_id in [(file.id, 8), *((each, None) for each in ids[1:])]:
            with pytest.raises(ExportNotFound):
                await engine.exports.get(file_id, user_id=user_id)
            with pytest.raises(ExportNotFound):
                await engine.exports.remove(file_id, user_id=user_id)
        assert await engine.exports.get(str(file.id), user_id=7)


async def test_both_is_at_the_path_and_in_the_storage(engine: Engine) -> None:
    file, _ = await exported(engine, numbers(engine), to="n.csv", delivery="both")
    assert file.path is not None
    assert file.id is not None
    async with engine, engine.exports.open(file.id) as path:
        assert path.read_bytes() == Path("n.csv").read_bytes()


@pytest.mark.parametrize("delivery", ["download", "both"])
async def test_a_file_that_is_to_be_put_somewhere_needs_a_path(engine: Engine, delivery: str) -> None:
    export = numbers(engine)
    async with engine:
        with pytest.raises(PayloadError, match="needs to="):
            await engine.dispatch(export, delivery=delivery)
        with pytest.raises(PayloadError, match="delivery"):
            await engine.dispatch(export, delivery="mail")


@pytest.mark.parametrize(
    "config, options, call, has_path, has_id, is_permanent",
    [
        ({}, {}, None, True, False, False),
        ({"delivery": {"mode": "link"}}, {}, None, False, True, False),
        ({"delivery": {"mode": "link"}}, {}, "both", True, True, False),
        (
            {"kinds": {"export": {"delivery": {"mode": "both", "keep": "permanent"}}}},
            {},
            None,
            True,
            True,
            True,
        ),
        (
            {"kinds": {"export": {"delivery": {"mode": "both"}}}},
            {"delivery": "link"},
            None,
            False,
            True,
            False,
        ),
        (
            {"jobs": {"numbers": {"delivery": {"mode": "both"}}}},
            {"delivery": "link"},
            None,
            True,
            True,
            False,
        ),
        ({}, {"delivery": "both", "keep": "permanent"}, None, True, True, True),
    ],
)
async def test_the_nearest_level_says_where_a_file_goes(
    config: Any, options: Any, call: Any, has_path: Any, has_id: Any, is_permanent: Any
) -> None:
    engine = Engine("memory://", config=config)
    file, _ = await exported(engine, numbers(engine, **options), to="n.csv", delivery=call)
    assert (file.path is not None, file.id is not None) == (has_path, has_id)
    assert Path("n.csv").exists() == has_path
    assert (has_id and file.expires_at is None) == is_permanent


async def test_a_temporary_file_goes_when_its_time_is_over(tmp_path: Path) -> None:
    engine = Engine("memory://", config={"retention": {"completed": {"age": "1d"}}})
    short, long = numbers(engine, ttl="2h"), None

    @engine.exporter("long", columns=["n"], ttl=timedelta(days=9))
    async def long_one() -> AsyncIterator[dict[str, int]]:
        yield {"n": 1}

    @engine.exporter("ever", columns=["n"], keep="permanent")
    async def for_ever() -> AsyncIterator[dict[str, int]]:
        yield {"n": 2}

    long = long_one
    async with TestEngine(engine) as t:
        handles = [await engine.dispatch(each) for each in (short, long, for_ever)]
        await t.drain()
        files = [await handle.result() for handle in handles]
        assert files[0].expires_at is not None
        await t.advance(2 * 3600 - 1)
        assert await engine.exports.get(str(files[0].id))
        await t.advance(2)
        with pytest.raises(ExportNotFound):
            await engine.exports.get(str(files[0].id))
        await engine.storage.expire(t.clock.now(), no_jobs)
        assert await engine.exports.get(str(files[1].id)) == files[1]

        await t.advance(3 * 86_400)  # the jobs are pruned, their files outlive them
        await t.drain()
        assert (await engine.jobs.list()).items == []
        assert await engine.exports.get(str(files[1].id)) == files[1]
        await t.advance(7 * 86_400)
        with pytest.raises(ExportNotFound):
            await engine.exports.get(str(files[1].id))
        assert await engine.exports.get(str(files[2].id)) == files[2]


async def test_upkeep_removes_expired_files(tmp_path: Path) -> None:
    clock = ManualClock()
    store, storage = MemoryBackend(clock=clock), LocalStorage(tmp_path / "files")
    removed: list[int] = []
    looked = asyncio.Event()

    async def expire(now: Instant, stored: StoredJobs) -> None:
        removed.append(await storage.expire(now, stored))
        looked.set()

    async def block() -> AsyncIterator[bytes]:
        yield b"abc"

    await store.open()
    for owner, seconds in [("one", 30), ("two", 90), ("three", 90)]:
        await storage.keep_until(owner, later(clock.now(), seconds))
        await storage.put(owner, block())
    pruner = asyncio.create_task(Pruner(store, clock, Settings(), _nothing, expire).run())  # noqa: TID251
    for expected in ([1], [1, 2], [1, 2, 0]):
        await clock.rest()
        await clock.advance(60)
        await looked.wait()
        looked.clear()
        assert removed == expected
    pruner.cancel()
    assert left_in(tmp_path) == []


async def _nothing(ids: Sequence[str]) -> None:
    assert not ids


@pytest.mark.case("J19")
def test_nothing_stands_under_the_name_before_all_of_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    dead = Target(str(path), "job1")
    dead.write(b"half of")
    other = Target(str(path), "job2")
    assert not path.exists()

    alive = Target(str(path), "job1")
    assert len(list(tmp_path.iterdir())) == 2, "what the dead run left is gone, the other job's is not"
    alive.write(b"whole")
    alive.sync()
    assert not path.exists()
    alive.publish()
    assert path.read_bytes() == b"whole"
    dead.sync()
    with pytest.raises(DeliveryError, match="No such file"):
        dead.publish()
    other.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["x.csv"]
