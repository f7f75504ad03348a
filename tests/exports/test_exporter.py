"""Exports from dispatch to file, by the real worker on both stores."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aiojobs_engine import (
    ConfigError,
    Engine,
    ExportedFile,
    JobContext,
    JobFailedError,
    JobRegistry,
    PayloadError,
    Retry,
    Status,
    current_job,
)
from aiojobs_engine.testing import TestEngine
from tests.exports.conftest import User, exported, left_in, rows_of


def users(engine: Engine, count: int = 3, **options: Any) -> Any:
    @engine.exporter("user_export", columns=["email", "age"], **options)
    async def export_users(country: str = "FR") -> AsyncIterator[User]:
        for n in range(count):
            yield User(f"{n}@{country}", n)

    return export_users


async def test_rows_become_a_file(engine: Engine, tmp_path: Path) -> None:
    file, status = await exported(engine, users(engine).options(user_id=7), to="users.csv", country="PT")

    assert rows_of("users.csv") == [["email", "age"], ["0@PT", "0"], ["1@PT", "1"], ["2@PT", "2"]]
    assert (status.kind, status.status, status.strategy) == ("export", Status.COMPLETED, "single")
    assert (status.processed, status.succeeded, status.failed, status.total) == (3, 3, 0, 3)
    assert status.user_id == 7
    assert (file.path, file.rows, file.name) == (str(tmp_path / "users.csv"), 3, "users.csv")
    assert file.size == (tmp_path / "users.csv").stat().st_size
    assert file.id is file.expires_at is None
    assert left_in(tmp_path) == ["users.csv"]


async def test_no_rows_are_a_file_with_a_header(engine: Engine) -> None:
    _, status = await exported(engine, users(engine, 0), to="users.csv")
    assert rows_of("users.csv") == [["email", "age"]]
    assert (status.status, status.total) == (Status.COMPLETED, 0)


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
async def test_all_rows_come_in_order(engine: Engine, count: int) -> None:
    _, status = await exported(engine, users(engine, count), to="users.csv")
    assert [int(age) for _, age in rows_of("users.csv")[1:]] == list(range(count))
    assert status.processed == status.total == count


@dataclass
class Point:
    x: int
    y: int


class Pair(NamedTuple):
    y: int
    x: int


async def test_rows_are_of_any_kind(engine: Engine) -> None:
    @engine.exporter("points", columns={"x": "X", "y": "the y"})
    async def points() -> AsyncIterator[Any]:
        for row in (Point(1, 2), {"y": 4, "x": 3, "z": 0}, Pair(6, 5), (7, 8), [9, 10]):
            yield row

    await exported(engine, points, to="points.csv")
    assert rows_of("points.csv") == [
        ["X", "the y"],
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
        ["7", "8"],
        ["9", "10"],
    ]


async def test_a_plain_generator_runs_in_a_thread(engine: Engine) -> None:
    seen: set[str] = set()

    @engine.exporter("plain", columns=["n"])
    def plain(count: int) -> Iterator[dict[str, int]]:
        for n in range(count):
            seen.add(current_job().type)
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                yield {"n": n}

    _, status = await exported(engine, plain, to="plain.csv", count=3000)
    assert [int(n) for (n,) in rows_of("plain.csv")[1:]] == list(range(3000))
    assert (seen, status.processed) == ({"plain"}, 3000)


@pytest.mark.parametrize(
    "row, words",
    [
        ({"email": "a"}, "row 2, of type dict, has no 'age'"),
        ({"email": "a", "agee": 1}, "has no 'age'; did you mean 'agee'?"),
        (5, "row 2, of type int, has no 'email'"),
        (("a", 1, 2), "row 2 has 3 values for 2 columns"),
        (None, "row 2, of type NoneType, has no"),
        (("\ud800", 1), "row 2 can't be written: 'utf-8' codec"),
    ],
)
async def test_a_row_that_can_not_be_written_is_named(
    engine: Engine, tmp_path: Path, row: Any, words: str
) -> None:
    @engine.exporter("users", columns=["email", "age"])
    async def broken() -> AsyncIterator[Any]:
        yield User("first", 1)
        yield row

    async with engine:
        handle = await engine.dispatch(broken, to="users.csv")
        await engine.worker(burst=True).run()
        status = await handle.status()
        with pytest.raises(JobFailedError, match="ExportError"):
            await handle.result(timeout=0)
    assert status.error is not None
    assert words in status.error.message
    assert (status.error.reason, status.attempts) == ("export", 1)
    assert left_in(tmp_path) == []


async def test_a_handler_that_raises_is_tried_again_and_leaves_one_file(
    engine: Engine, tmp_path: Path
) -> None:
    calls: list[int] = []

    @engine.exporter("users", columns=["email", "age"], retry=Retry.fixed(3, delay=0))
    async def flaky(ctx: JobContext) -> AsyncIterator[User]:
        calls.append(ctx.attempt)
        for n in range(1500):
            if n == 1200 and ctx.attempt < 3:
                raise ConnectionError("the database went away")
            yield User("a", n)

    _, status = await exported(engine, flaky, to="users.csv")
    assert (calls, status.attempts, status.processed, status.total) == ([1, 2, 3], 3, 1500, 1500)
    assert len(rows_of("users.csv")) == 1501
    assert left_in(tmp_path) == ["users.csv"]


async def test_an_export_that_fails_leaves_what_was_there(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("of yesterday")

    @engine.exporter("users", columns=["email", "age"], retry=Retry.none())
    async def failing() -> AsyncIterator[User]:
        for n in range(5000):
            yield User("a", n)
        raise LookupError

    async with engine:
        handle = await engine.dispatch(failing, to="users.csv")
        await engine.worker(burst=True).run()
        status = await handle.status()
    assert (status.status, status.succeeded, status.failed) == (Status.FAILED, 5000, 0)
    assert left_in(tmp_path) == ["users.csv"]
    assert (tmp_path / "users.csv").read_text() == "of yesterday"


async def test_parts_run_side_by_side_and_keep_their_order(engine: Engine) -> None:
    running: list[int] = []
    most: list[int] = []
    together = asyncio.Event()

    async def letters(country: str) -> list[str]:
        return [f"{country}{letter}" for letter in "abcde"]

    @engine.exporter("users", columns=["email", "age"], parts=letters, parallel=3)
    async def by_letter(ctx: JobContext, country: str) -> AsyncIterator[User]:
        running.append(1)
        most.append(len(running))
        if len(running) == 3:
            together.set()
        await together.wait()
        for n in range(10):
            yield User(ctx.part, n)
        running.pop()

    _, status = await exported(engine, by_letter, to="users.csv", country="P")
    expected = [[f"P{letter}", str(n)] for letter in "abcde" for n in range(10)]
    assert rows_of("users.csv")[1:] == expected
    assert max(most) == 3
    assert (status.strategy, status.processed, status.total) == ("batch", 50, 50)


async def test_no_parts_are_no_rows(engine: Engine) -> None:
    async def none() -> list[str]:
        return []

    await exported(engine, users(engine, parts=none), to="users.csv")
    assert rows_of("users.csv") == [["email", "age"]]


async def test_one_part_that_fails_ends_the_others(engine: Engine) -> None:
    closed: list[str] = []

    async def halves() -> list[str]:
        return ["good", "bad"]

    @engine.exporter("users", columns=["email", "age"], parts=halves, retry=Retry.none())
    async def by_half(ctx: JobContext) -> AsyncIterator[User]:
        try:
            if ctx.part == "bad":
                raise LookupError("no such half")
            yield User("a", 1)
            await asyncio.Event().wait()
        finally:
            closed.append(ctx.part)

    async with engine:
        handle = await engine.dispatch(by_half, to="users.csv")
        await engine.worker(burst=True).run()
        with pytest.raises(JobFailedError, match="LookupError: no such half"):
            await handle.result(timeout=0)
    assert sorted(closed) == ["bad", "good"]


async def test_the_handler_may_say_how_many_rows_there_will_be(engine: Engine) -> None:
    totals: list[tuple[int, int]] = []

    @engine.exporter("users", columns=["email", "age"])
    async def announced(ctx: JobContext) -> AsyncIterator[User]:
        await ctx.progress(0, 20, "asking the database")
        seen = await ctx.engine.jobs.get(ctx.id)
        totals.append((seen.processed, seen.total))
        for n in range(10):
            yield User("a", n)

    _, status = await exported(engine, announced, to="users.csv")
    assert totals == [(0, 20)]
    assert (status.processed, status.total, status.message) == (10, 10, "asking the database")


async def test_middleware_wraps_the_reading(engine: Engine) -> None:
    seen: list[str] = []

    @engine.middleware
    async def watch(ctx: JobContext, call_next: Any) -> Any:
        seen.append(f"before {ctx.type}")
        await call_next()
        seen.append("after")

    await exported(engine, users(engine), to="users.csv")
    assert seen == ["before user_export", "after"]


async def test_an_export_by_name_takes_an_absolute_path(engine: Engine, tmp_path: Path) -> None:
    registry = JobRegistry()
    known = Engine("sqlite:///jobs.db", registry=registry)
    users(known)
    stranger = Engine("sqlite:///jobs.db")
    async with known, stranger:
        await known.worker(burst=True).run()  # publishes its types
        handle = await stranger.dispatch("user_export", to=str(tmp_path / "users.csv"), country="PT")
        relative = await stranger.dispatch("user_export", to="users.csv")
        with pytest.raises(PayloadError, match="contry"):
            await stranger.dispatch("user_export", to="users.csv", contry="PT")
        await known.worker(burst=True).run()
        assert (await handle.status()).kind == "export"
        file = await known.handle(handle.id).result(timeout=0)
        status = await relative.status()
    assert isinstance(file, ExportedFile)
    assert len(rows_of("users.csv")) == 4
    assert status.error is not None
    assert "an absolute path" in status.error.message


async def test_a_test_engine_runs_exports(tmp_path: Path) -> None:
    engine = Engine("memory://")
    export = users(engine)
    async with TestEngine(engine) as t:
        file = await t.run(export, to="once.csv", country="ES")
        handle = await engine.dispatch(export, to="twice.csv")
        await t.drain()
        t.assert_dispatched("user_export", country="FR")
        assert await handle.result() == ExportedFile(
            name="twice.csv",
            rows=3,
            size=35,
            media_type="text/csv; charset=utf-8",
            sha256=(await handle.result()).sha256,
            path=str(tmp_path / "twice.csv"),
        )
    assert file.rows == 3
    assert rows_of("once.csv")[1] == ["0@ES", "0"]


def test_exporters_are_checked_where_they_are_declared() -> None:
    registry = JobRegistry()

    async def returns() -> list[int]:
        return []

    async def takes_to(to: str) -> AsyncIterator[int]:
        yield 1

    async def rows() -> AsyncIterator[int]:
        yield 1

    async def odd_parts(nobody: str) -> list[str]:
        return []

    wrong: list[tuple[dict[str, Any], Any, str]] = [
        ({"columns": ["a"]}, returns, "async generator"),
        ({"columns": ["a"]}, takes_to, "'to', which exports have already"),
        ({"columns": []}, rows, "columns names the fields"),
        ({"columns": "abc"}, rows, "columns names the fields"),
        ({"columns": ["a", "a"]}, rows, "a column comes twice"),
        ({"columns": {"a": "x", "b": "x"}}, rows, "a column comes twice"),
        ({"columns": [1]}, rows, "texts, got 1"),
        ({"columns": ["age"], "formulas": ["agee"]}, rows, "did you mean 'age'"),
        ({"columns": ["a"], "format": "pdf"}, rows, "format: .* written as"),
        ({"columns": ["a"], "delivery": "mail"}, rows, "delivery"),
        ({"columns": ["a"], "keep": "ever"}, rows, "keep"),
        ({"columns": ["a"], "ttl": "soon"}, rows, "a duration"),
        ({"columns": ["a"], "parallel": 0}, rows, "parallel"),
        ({"columns": ["a"], "parts": odd_parts}, rows, "'nobody', which is no argument"),
        ({"columns": ["a"], "parts": rows}, rows, "async function that returns a list"),
        ({"columns": ["a"], "run_in": "process"}, rows, "runs in the loop"),
        ({"columns": ["a"], "queu": "x"}, rows, "did you mean 'queue'"),
    ]
    for options, handler, words in wrong:
        with pytest.raises(ConfigError, match=words):
            registry.exporter("e", **options)(handler)
    with pytest.raises(ConfigError, match=r"yields.*@engine\.exporter"):
        registry.job()(rows)
    assert registry.types == {}


async def test_the_file_has_the_mode_of_files_that_people_make(engine: Engine, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        await exported(engine, users(engine), to="users.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "users.csv").stat().st_mode & 0o777 == 0o640
