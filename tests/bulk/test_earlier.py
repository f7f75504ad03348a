"""Rows whose key an earlier import of the same type brought in: found, told apart, and skipped only then."""

import io
import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, ImportReport, JobContext, JobStatus, Status
from aiojobs_engine.bulk import earlier, seen_keys
from tests.bulk.conftest import ONE_ATTEMPT, WriteCsv, counts, work


class User(msgspec.Struct):
    email: str
    age: int


Handled = list[int]


def importer(engine: Engine, handled: Handled, name: str = "users", **options: Any) -> Any:
    given = {"key": "email", "duplicates": "earlier", "row": User, **options}

    @engine.importer(name, retry=ONE_ATTEMPT, **given)
    async def import_users(ctx: JobContext, rows: list[Any]) -> None:
        for row in rows:
            if row.age == 666:
                ctx.fail_row(row, "unlucky")
        handled.extend(row.age for row in rows)

    return import_users


async def imported(engine: Engine, users: Any, source: Any, **call: Any) -> tuple[JobStatus, ImportReport]:
    handle = await engine.dispatch(users, source, **call)
    await work(engine)
    return await handle.status(), await handle.result()


def told(report: ImportReport) -> tuple[int, int]:
    return report.duplicates, report.earlier


def lines(ages: Iterable[int]) -> list[str]:
    return [f"{age}@b,{age}" for age in ages]


@pytest.mark.parametrize("rows", [8, 40], ids=["single", "batch"])
async def test_a_file_that_comes_again_is_skipped_and_told(
    engine: Engine, write_csv: WriteCsv, rows: int
) -> None:
    handled: Handled = []
    users = importer(engine, handled)
    file = write_csv([*lines(range(1, rows)), "1@b,1"])
    async with engine:
        status, report = await imported(engine, users, file)
        assert (counts(status), told(report)) == ((rows, 0, 1, rows), (1, 0))
        again, report = await imported(engine, users, file)
        assert (counts(again), told(report)) == ((rows, 0, rows, rows), (0, rows))
    assert again.status is Status.COMPLETED
    assert sorted(handled) == list(range(1, rows))


async def test_an_overlapping_file_brings_in_what_is_new(engine: Engine, write_csv: WriteCsv) -> None:
    handled: Handled = []
    users = importer(engine, handled)
    async with engine:
        await imported(engine, users, write_csv(lines(range(100, 130))))
        handled.clear()
        rows = [*lines(range(90, 110)), "90@b,90", "100@b,100", ",5", ",6"]
        status, report = await imported(engine, users, write_csv(rows))
    assert (counts(status), told(report)) == ((24, 0, 12, 24), (1, 11))
    assert sorted(handled) == [5, 6, *range(90, 100)]


async def test_what_failed_is_not_in(engine: Engine, write_csv: WriteCsv) -> None:
    handled: Handled = []
    users = importer(engine, handled)
    async with engine:
        file = write_csv([*lines([666, *range(1, 19)]), "x,no", "666@b,1"])  # the last one was skipped
        status, _ = await imported(engine, users, file)
        assert counts(status) == (19, 2, 1, 21)
        handled.clear()
        status, report = await imported(engine, users, file)
        assert (counts(status), told(report)) == ((19, 2, 19, 21), (1, 18))
        assert handled == [666]

        (first, *_) = [job async for job in engine.jobs.list(type="users") if job.parent_id is None][::-1]
        await engine.failures.retry(first.id)
        await work(engine)
        assert told((await imported(engine, users, file))[1]) == (1, 18)


async def test_what_was_cancelled_or_only_tried_is_not_in(engine: Engine, write_csv: WriteCsv) -> None:
    handled: Handled = []

    @engine.importer("users", row=User, key="email", duplicates="earlier")
    async def users(ctx: JobContext, rows: list[User]) -> None:
        handled.extend(row.age for row in rows)
        if len(handled) == 10:
            await ctx.engine.jobs.cancel(ctx.id.split(".")[0])

    file = write_csv(600)
    async with engine:
        await imported(engine, users, file, dry_run=True)
        handle = await engine.dispatch(users, file)
        await engine.worker(burst=True, concurrency=1).run()
        stopped = await handle.status()
        assert stopped.status is Status.CANCELLED
        assert 10 <= stopped.succeeded < 600
        seen = set(handled)
        handled.append(0)  # so that nothing is cancelled any more
        looked, report = await imported(engine, users, file, dry_run=True)
        assert (counts(looked), told(report)) == ((600, 0, stopped.succeeded, 600), (0, stopped.succeeded))
        assert told((await imported(engine, users, file))[1]) == (0, stopped.succeeded)
    assert sorted(handled) == [0, *range(1, 601)]
    assert seen < set(handled)


async def test_it_is_asked_for_and_can_be_overruled(engine: Engine, write_csv: WriteCsv) -> None:
    handled: Handled = []
    file = write_csv(12)
    users, plain = importer(engine, handled), importer(engine, [], "plain", duplicates="file")
    async with engine:
        await imported(engine, users, file)
        handled.clear()
        status, report = await imported(engine, users, file, allow_duplicates=True)
        assert (counts(status), told(report)) == ((12, 0, 0, 12), (0, 0))
        for _ in range(2):
            status, report = await imported(engine, plain, file)
            assert (counts(status), told(report)) == ((12, 0, 0, 12), (0, 0))
    assert sorted(handled) == list(range(1, 13))


async def test_other_formats_have_the_same_keys(engine: Engine, write_csv: WriteCsv) -> None:
    handled: Handled = []
    users = importer(engine, handled)
    rows = [{"email": f"{age}@b", "age": age} for age in range(5, 30)]
    source = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    async with engine:
        await imported(engine, users, write_csv(20))
        status, report = await imported(engine, users, rows[:20])
        assert (counts(status), told(report)) == ((20, 0, 16, 20), (0, 16))
        status, report = await imported(engine, users, source)
        assert (counts(status), told(report)) == ((25, 0, 20, 25), (0, 20))
        status, report = await imported(engine, users, write_csv(lines(range(25, 35))))
        assert (counts(status), told(report)) == ((10, 0, 5, 10), (0, 5))
    assert sorted(handled) == list(range(1, 35))


async def test_text_and_numbers_stay_apart_where_both_are_keys(engine: Engine) -> None:
    class Mixed(msgspec.Struct):
        email: int | str
        age: int

    users = importer(engine, [], row=Mixed)
    async with engine:
        await imported(engine, users, [{"email": 1, "age": 1}])
        _, report = await imported(engine, users, [{"email": "1", "age": 1}, {"email": 1, "age": 1}])
    assert told(report) == (0, 1)


async def test_many_keys_are_looked_up_on_disk(
    engine: Engine, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_keys, "HELD", 7)
    handled: Handled = []
    users = importer(engine, handled)
    async with engine:
        await imported(engine, users, write_csv(lines(range(1, 200, 2))))
        rows = [*lines(range(1, 200)), *lines(range(1, 10))]
        status, report = await imported(engine, users, write_csv(rows))
    assert (counts(status), told(report)) == ((208, 0, 109, 208), (4, 105))
    assert sorted(handled) == list(range(1, 200))


async def test_an_import_whose_rows_are_gone_is_left_out(
    engine: Engine, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    users = importer(engine, [])
    async with engine:
        first, _ = await imported(engine, users, write_csv(12))
        await engine.storage.remove(first.id)
        status, report = await imported(engine, users, write_csv(12))
        assert (counts(status), told(report)) == ((12, 0, 0, 12), (0, 0))
        assert f"the rows of import {first.id} are no longer known" in caplog.text

        await engine.jobs.delete(status.id)
        _, report = await imported(engine, users, write_csv(12))
    assert told(report) == (0, 0)


async def test_an_import_with_too_many_failed_rows_is_left_out(
    engine: Engine, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = importer(engine, [])
    async with engine:
        await imported(engine, users, write_csv(["1@b,1", "2@b,x", "3@b,y"]))
        monkeypatch.setattr(earlier, "MOST_FAILED", 1)
        _, report = await imported(engine, users, write_csv(["1@b,1"]))
    assert told(report) == (0, 0)


def test_it_needs_a_key(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="duplicates='earlier' needs a key="):
        importer(engine, [], key=None)
    with pytest.raises(ConfigError, match="duplicates must be 'file' or 'earlier', got 'database'"):
        importer(engine, [], duplicates="database")
