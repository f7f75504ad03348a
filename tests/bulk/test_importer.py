"""Imports from dispatch to done, by the real worker on both stores."""

import io
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import anyio.lowlevel
import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, JobStatus, Retry, Status
from tests.bulk.conftest import ONE_ATTEMPT, WriteCsv, counts, work


class User(msgspec.Struct):
    email: str
    age: Annotated[int, msgspec.Meta(ge=0)]


class Table:
    """Where the handler of a test keeps rows: each call is one entry."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def store(self, rows: list[User]) -> None:
        self.calls.append([row.age for row in rows])

    @property
    def ages(self) -> list[int]:
        return sorted(age for call in self.calls for age in call)


def importer(engine: Engine, **options: Any) -> tuple[Any, Table]:
    table = Table()

    @engine.importer("users", row=User, **options)
    async def import_users(rows: list[User]) -> None:
        table.store(rows)

    return import_users, table


async def ended(engine: Engine, import_type: Any, source: Any, **call: Any) -> JobStatus:
    """The status at the end of an import."""
    async with engine:
        handle = await engine.dispatch(import_type, source, **call)
        await work(engine)
        return await handle.status()


@pytest.mark.parametrize("rows, strategy, calls", [(0, "single", 0), (10, "single", 1), (11, "batch", 3)])
async def test_up_to_the_threshold_one_job_does_it(
    engine: Engine, write_csv: WriteCsv, rows: int, strategy: str, calls: int
) -> None:
    users, table = importer(engine)
    status = await ended(engine, users, write_csv(rows))
    assert (status.status, status.kind, status.strategy) == (Status.COMPLETED, "import", strategy)
    assert counts(status) == (rows, 0, 0, rows)
    assert len(table.calls) == calls
    assert table.ages == list(range(1, rows + 1))


async def test_chunks_carry_what_the_import_was_given(engine: Engine, write_csv: WriteCsv) -> None:
    seen: list[tuple[Any, ...]] = []

    @engine.importer("users", row=User, queue="bulk")
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        seen.append((ctx.user_id, ctx.meta, ctx.tags, ctx.queue))

    options = import_users.options(user_id="u7", priority=3, meta={"from": "here"}, tags=["big"])
    await ended(engine, options, write_csv(11))
    assert seen == [("u7", {"from": "here"}, ("big",), "bulk")] * 3


async def test_the_counters_hold_at_every_read(engine: Engine, write_csv: WriteCsv) -> None:
    reads: list[JobStatus] = []

    @engine.importer("users", row=User, retry=ONE_ATTEMPT)
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        reads.append(await ctx.engine.jobs.get(ctx.id.split(".")[0]))
        await anyio.lowlevel.checkpoint()
        if any(row.age % 10 == 0 for row in rows):
            raise ValueError("round ages are refused")

    status = await ended(engine, import_users, write_csv([*(f"{n}@b,{n}" for n in range(1, 100)), "x,y"]))
    for read in reads:
        counts(read)
    assert [read.processed for read in reads] == sorted(read.processed for read in reads)
    assert counts(status) == (90, 10, 0, 100)
    assert status.status is Status.PARTIAL


async def test_a_bad_row_costs_one_row(engine: Engine, write_csv: WriteCsv) -> None:
    handled: list[int] = []

    @engine.importer("users", row=User, key="email", retry=Retry.fixed(2, delay=0))
    async def import_users(rows: list[User]) -> None:
        if any(row.age == 13 for row in rows):
            raise LookupError("thirteen")
        handled.extend(row.age for row in rows)

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(20))
        await work(engine)
        assert counts(await handle.status()) == (19, 1, 0, 20)
        (failure,) = (await engine.failures.list(handle.id)).items
    assert sorted(set(handled)) == [age for age in range(1, 21) if age != 13]
    assert (failure.row_number, failure.row_key, failure.field) == (13, "13@b", None)
    assert failure.payload == {"email": "13@b", "age": "13"}
    assert failure.message == "LookupError: thirteen"
    assert failure.job_id == handle.id


async def test_a_single_import_is_salvaged_too(engine: Engine, write_csv: WriteCsv) -> None:
    @engine.importer("users", row=User, retry=ONE_ATTEMPT)
    async def import_users(rows: list[User]) -> None:
        if any(row.age in (1, 2, 8) for row in rows):
            raise LookupError

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(8))
        await work(engine)
        status = await handle.status()
        failures = [failure async for failure in engine.failures.list(handle.id)]
    assert (status.status, counts(status)) == (Status.PARTIAL, (5, 3, 0, 8))
    assert [failure.row_number for failure in failures] == [1, 2, 8]
    assert failures[0].message == "LookupError"


async def test_nothing_in_is_failed(engine: Engine, write_csv: WriteCsv) -> None:
    @engine.importer("users", row=User, retry=ONE_ATTEMPT)
    async def import_users(rows: list[User]) -> None:
        raise LookupError

    status = await ended(engine, import_users, write_csv(12))
    assert (status.status, counts(status)) == (Status.FAILED, (0, 12, 0, 12))
    assert status.error is not None
    assert status.error.reason == "rows"


async def test_rows_that_do_not_fit_never_reach_the_handler(engine: Engine, write_csv: WriteCsv) -> None:
    users, table = importer(engine)
    lines = ["a,1", "b,-2", "c,x", "d,4,5", "e", '"f', "g,7"]
    async with engine:
        handle = await engine.dispatch(users, write_csv(lines))
        await work(engine)
        assert counts(await handle.status()) == (2, 5, 0, 7)
        failures = [failure async for failure in engine.failures.list(handle.id)]
    assert table.calls == [[1, 7]]
    assert [(failure.row_number, failure.field, failure.message) for failure in failures] == [
        (2, "age", "Expected `int` >= 0, got '-2'"),
        (3, "age", "Expected `int`, got 'x'"),
        (4, None, "the row has 3 columns, the header 2"),
        (5, None, "the row has 1 columns, the header 2"),
        (6, None, "a quote is opened in this line and never closed"),
    ]
    assert failures[2].payload == {"email": "d", "age": "4", "column 3": "5"}
    assert failures[4].payload == {"line": '"f\ng,7\n'}


async def test_rows_that_are_no_text_are_faults(engine: Engine) -> None:
    users, table = importer(engine)
    data = b"email,age\nok,1\n\xff\xfe,2\nna\0me,3\n" + b"z" * 1_100_000 + b",4\n" + "fünf,5\n".encode()
    async with engine:
        handle = await engine.dispatch(users, io.BytesIO(data))
        await work(engine)
        assert counts(await handle.status()) == (2, 3, 0, 5)
        failures = [failure async for failure in engine.failures.list(handle.id)]
    assert table.calls == [[1, 5]]
    assert [(failure.row_number, failure.message) for failure in failures] == [
        (2, "the row is no UTF-8 (byte 0xff)"),
        (3, "the row holds a NUL character"),
        (4, "the line is longer than 1,048,576 bytes"),
    ]
    assert failures[0].payload == {"email": "\\xff\\xfe", "age": "2"}


async def test_the_handler_reports_rows_that_it_knows(engine: Engine, write_csv: WriteCsv) -> None:
    @engine.importer("users", row=User)
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        rows.sort(key=lambda row: -row.age)
        for row in rows:
            if row.age % 2:
                ctx.fail_row(row, "odd", field="age")
                ctx.fail_row(row, "said once")

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(12))
        await work(engine)
        assert counts(await handle.status()) == (6, 6, 0, 12)
        failures = [failure async for failure in engine.failures.list(handle.id)]
    assert [failure.row_number for failure in failures] == [1, 3, 5, 7, 9, 11]
    assert {(failure.field, failure.message) for failure in failures} == {("age", "odd")}


async def test_only_rows_of_the_call_can_be_reported(engine: Engine, write_csv: WriteCsv) -> None:
    refused: list[str] = []

    @engine.importer("users", row=User)
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        try:
            ctx.fail_row(User("x", 1), "not one of them")
        except ConfigError as error:
            refused.append(str(error))

    assert counts(await ended(engine, import_users, write_csv(2))) == (2, 0, 0, 2)
    assert "one of the rows" in refused[0]


async def test_later_rows_of_a_key_are_skipped(engine: Engine, write_csv: WriteCsv) -> None:
    users, table = importer(engine, key="email")
    lines = [f"{n % 6},{n}" for n in range(1, 13)]
    status = await ended(engine, users, write_csv(lines))
    assert counts(status) == (12, 0, 6, 12)
    assert table.ages == [1, 2, 3, 4, 5, 6]
    assert status.status is Status.COMPLETED


async def test_duplicates_come_in_when_they_are_allowed(engine: Engine, write_csv: WriteCsv) -> None:
    users, table = importer(engine, key="email")
    status = await ended(engine, users, write_csv(["a,1", "a,2"]), allow_duplicates=True)
    assert counts(status) == (2, 0, 0, 2)
    assert table.ages == [1, 2]


async def test_columns_are_mapped(engine: Engine) -> None:
    users, table = importer(engine, key="email")
    source = io.BytesIO(b"Years;E-Mail;More\n4;a;x\n5;a;x\n-1;b;x\n")
    mapping = {"E-Mail": "email", "Years": "age"}
    async with engine:
        handle = await engine.dispatch(users, source, mapping=mapping)
        await work(engine)
        assert counts(await handle.status()) == (2, 1, 1, 3)
        (failure,) = (await engine.failures.list(handle.id)).items
    assert table.ages == [4]
    assert (failure.row_key, failure.field) == ("b", "age")
    assert failure.payload == {"Years": "-1", "E-Mail": "b", "More": "x"}


async def test_a_dry_run_calls_no_handler(engine: Engine, write_csv: WriteCsv) -> None:
    users, table = importer(engine)
    status = await ended(engine, users, write_csv([*(f"{n},{n}" for n in range(11)), "x,y"]), dry_run=True)
    assert (status.status, counts(status)) == (Status.PARTIAL, (11, 1, 0, 12))
    assert table.calls == []


async def test_one_job_can_be_forced(engine: Engine, write_csv: WriteCsv) -> None:
    users, table = importer(engine)
    status = await ended(engine, users, write_csv(30), force_single=True)
    assert (status.strategy, counts(status)) == ("single", (30, 0, 0, 30))
    assert len(table.calls) == 1


@pytest.mark.parametrize("by_call, by_type, largest", [(None, None, 5), (None, 7, 7), (3, 7, 3)])
async def test_the_nearest_chunk_size_wins(
    engine: Engine, write_csv: WriteCsv, by_call: int | None, by_type: int | None, largest: int
) -> None:
    users, table = importer(engine, chunk_size=by_type)
    await ended(engine, users, write_csv(20), chunk_size=by_call)
    assert max(map(len, table.calls)) == largest


async def test_a_small_import_with_too_many_failures_is_not_begun(
    engine: Engine, write_csv: WriteCsv
) -> None:
    users, table = importer(engine)
    async with engine:
        handle = await engine.dispatch(users, write_csv(["a,1", "b,x", "c,y"]), max_failures=1)
        await work(engine)
        status = await handle.status()
        failures = [failure async for failure in engine.failures.list(handle.id)]
    assert (status.status, counts(status)) == (Status.FAILED, (0, 3, 0, 3))
    assert status.error is not None
    assert status.error.reason == "max_failures"
    assert table.calls == []
    assert [failure.message for failure in failures] == [
        "2 rows failed, at most 1 may",
        "Expected `int`, got 'x'",
        "Expected `int`, got 'y'",
    ]


async def test_a_large_import_with_too_many_failures_is_cancelled(
    engine: Engine, write_csv: WriteCsv
) -> None:
    users, table = importer(engine)
    async with engine:
        handle = await engine.dispatch(users, write_csv([f"{n},x" for n in range(2000)]), max_failures=12)
        await engine.worker(burst=True, concurrency=1).run()
        status = await handle.status()
    assert status.status is Status.CANCELLED
    assert 12 < counts(status)[1] < 2000
    assert table.calls == []


async def test_rows_come_from_iterables(engine: Engine) -> None:
    users, table = importer(engine, key="email")
    rows: list[dict[str, Any]] = [{"email": f"{n}", "age": n} for n in range(1, 13)]

    async def later() -> AsyncIterator[dict[str, Any]]:
        for row in rows:
            yield row

    def lazily() -> Iterable[dict[str, Any]]:
        yield from rows

    for source in (rows, lazily(), later()):
        table.calls.clear()
        status = await ended(engine, users, source)
        assert (status.strategy, counts(status)) == ("batch", (12, 0, 0, 12))
        assert table.ages == list(range(1, 13))


async def test_rows_of_an_iterable_fail_one_by_one(engine: Engine) -> None:
    users, table = importer(engine, key="email")
    source = [{"email": "a", "age": "1"}, {"email": "b"}, {"email": "a", "age": 3}, {"E": "c", "age": -1}]
    async with engine:
        handle = await engine.dispatch(users, source, mapping={"E": "email"})
        await work(engine)
        assert counts(await handle.status()) == (2, 2, 1, 4)
        failures = [failure async for failure in engine.failures.list(handle.id)]
    assert table.ages == [1]
    assert [(failure.row_key, failure.field, failure.payload) for failure in failures] == [
        ("b", "age", {"email": "b"}),
        ("c", "age", {"E": "c", "age": -1}),
    ]


async def test_nothing_to_import_is_done_at_once(engine: Engine) -> None:
    users, _ = importer(engine)
    nothing: list[dict[str, Any]] = []
    for source in (io.BytesIO(b"email,age\n"), io.BytesIO(b"email,age\n\n\n"), nothing):
        status = await ended(engine, users, source)
        assert (status.status, counts(status)) == (Status.COMPLETED, (0, 0, 0, 0))


async def test_plain_functions_get_rows_in_a_thread(engine: Engine, write_csv: WriteCsv) -> None:
    table = Table()

    @engine.importer("users", row=User)
    def import_users(ctx: JobContext, rows: list[User]) -> None:
        ctx.fail_row(rows[0], "the first one")
        table.store(rows)

    assert counts(await ended(engine, import_users, write_csv(12))) == (9, 3, 0, 12)
    assert table.ages == list(range(1, 13))


async def test_an_import_by_name_and_its_registry(engine: Engine, write_csv: WriteCsv) -> None:
    _, table = importer(engine)
    assert counts(await ended(engine, "users", write_csv(2))) == (2, 0, 0, 2)
    assert table.ages == [1, 2]
