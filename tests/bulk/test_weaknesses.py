"""The table of the README, held to the tests; and those faults that no other test is about."""

import ast
import io
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from aiojobs_engine import Engine, JobStatus, Status
from tests.bulk.conftest import ONE_ATTEMPT, WriteCsv, counts, work
from tests.house.tree import ROOT

ROW = re.compile(r"^\| [^|]+ \| (?:(\w+)/)?(\w+)::(\w+) \|$", re.MULTILINE)


class User(msgspec.Struct):
    email: str
    age: int


def importer(engine: Engine, handled: list[Any], row: Any = User, **options: Any) -> Any:
    @engine.importer("users", row=row, retry=ONE_ATTEMPT, **options)
    async def import_users(rows: list[Any]) -> None:
        handled.extend(rows)

    return import_users


async def ended(engine: Engine, users: Any, source: Any) -> JobStatus:
    async with engine:
        handle = await engine.dispatch(users, source)
        await work(engine)
        return await handle.status()


def test_the_tests_of_the_table_exist() -> None:
    table = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    rows = ROW.findall(table)
    assert len(rows) == table.count("\n| ") - 1

    for folder, file, name in rows:
        path = ROOT / "tests" / (folder or "bulk") / f"{file}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in names, f"{path.name} has no {name}"


async def test_an_import_ends_once_with_its_last_chunk(engine: Engine, write_csv: WriteCsv) -> None:
    users = importer(engine, [])
    async with engine:
        handle = await engine.dispatch(users, write_csv(50))
        await work(engine)
        events = [event async for event in handle.events()]
    ends = [event for event in events if event.status in ("completed", "partial", "failed")]
    assert [(type(event).__name__, event.processed, event.total) for event in ends] == [
        ("JobCompleted", 50, 50)
    ]
    assert events[-1] is ends[0]


async def test_a_bad_last_row_fails_alone(engine: Engine, write_csv: WriteCsv) -> None:
    status = await ended(engine, importer(engine, []), write_csv([*(f"{n},{n}" for n in range(29)), "x,y"]))
    assert (status.status, counts(status)) == (Status.PARTIAL, (29, 1, 0, 30))


async def test_bad_rows_that_look_the_same_are_two(engine: Engine, write_csv: WriteCsv) -> None:
    users = importer(engine, [])
    async with engine:
        handle = await engine.dispatch(users, write_csv(["a,x", "b,1", "a,x"]))
        await work(engine)
        failures = [failure.row_number async for failure in engine.failures.list(handle.id)]
        assert (counts(await handle.status()), failures) == ((1, 2, 0, 3), [1, 3])


async def test_no_row_stands_in_the_log(
    engine: Engine, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "aiojobs_engine")
    users = importer(engine, [])
    status = await ended(
        engine, users, write_csv([*(f"secret{n}@x,{n}" for n in range(20)), "secret@x,secret"])
    )
    assert status.failed == 1
    assert caplog.text
    assert "secret" not in caplog.text


async def test_keys_of_two_kinds_differ(engine: Engine) -> None:
    class Keyed(msgspec.Struct):
        key: int | str

    handled: list[Keyed] = []
    rows = [{"key": 1}, {"key": "1"}, {"key": 1}, {"key": "01"}]
    status = await ended(engine, importer(engine, handled, Keyed, key="key"), rows)
    assert [row.key for row in handled] == [1, "1", "01"]
    assert counts(status) == (4, 0, 1, 4)


async def test_a_pattern_is_taken_as_it_is(engine: Engine) -> None:
    class Coded(msgspec.Struct):
        code: Annotated[str, msgspec.Meta(pattern=r"^(a|b)\|c$")]

    handled: list[Coded] = []
    source = io.BytesIO(b"code\na|c\nb|c\nc\n")
    status = await ended(engine, importer(engine, handled, Coded, delimiter=","), source)
    assert [row.code for row in handled] == ["a|c", "b|c"]
    assert status.failed == 1
