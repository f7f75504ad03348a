"""Failed rows as files: mended in a spreadsheet and imported as they are."""

import csv
import io
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from aiojobs_engine import DeliveryError, Engine, JobNotFound, PayloadError
from tests.exports.conftest import left_in

ROWS = [
    "007,Ada,36",
    "008,=SUM(A1),-1",
    "+49 123,'=x,many",
    '\u00fc;@1,"a, b",-007',
    "5,,",
]


class Person(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str
    age: Annotated[int, msgspec.Meta(ge=0)]


@pytest.fixture
def people(engine: Engine) -> tuple[Any, list[Person]]:
    kept: list[Person] = []

    @engine.importer("people", row=Person, key="id")
    async def import_people(rows: list[Person]) -> None:
        kept.extend(rows)

    return import_people, kept


async def imported(engine: Engine, importer: Any, source: Any) -> str:
    handle = await engine.dispatch(importer, source)
    await engine.worker(burst=True).run()
    return str(handle.id)


async def test_what_stood_in_the_source_is_written_with_three_columns(engine: Engine, people: Any) -> None:
    Path("people.csv").write_text("id,name,age\n" + "\n".join(ROWS) + "\n")
    async with engine:
        job_id = await imported(engine, people[0], "people.csv")
        assert await engine.failures.export(job_id, "bad.csv") == 4
    found = list(csv.reader(io.StringIO(Path("bad.csv").read_text(), newline="")))
    assert found[0] == ["id", "name", "age", "_row", "_field", "_error"]
    assert [row[:5] for row in found[1:]] == [
        ["008", "'=SUM(A1)", "-1", "2", "age"],
        ["'+49 123", "''=x", "many", "3", "age"],
        ["\u00fc;@1", "a, b", "'-007", "4", "age"],
        ["5", "", "", "5", "age"],
    ]
    assert left_in(Path())[-2:] == ["bad.csv", "people.csv"]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "xlsx", "csv.gz", "csv.zst", "parquet"])
async def test_such_a_file_is_imported_as_it_is(engine: Engine, people: Any, form: str) -> None:
    importer, kept = people
    Path("people.csv").write_text("id,name,age\n" + "\n".join(ROWS) + "\n")
    async with engine:
        job_id = await imported(engine, importer, "people.csv")
        await engine.failures.export(job_id, f"bad.{form}")
        again = await imported(engine, importer, f"bad.{form}")
        first = [failure.payload async for failure in engine.failures.list(job_id)]
        second = [failure.payload async for failure in engine.failures.list(again)]
    assert [person.id for person in kept] == ["007"]
    text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in second]
    assert text == first


async def test_mended_rows_go_in(engine: Engine, people: Any) -> None:
    importer, kept = people
    Path("people.csv").write_text("id,name,age\n" + "\n".join(ROWS) + "\n")
    async with engine:
        job_id = await imported(engine, importer, "people.csv")
        await engine.failures.export(job_id, "bad.csv")
        text = Path("bad.csv").read_text()
        mended = text.replace(",-1,", ",1,").replace("many", "2").replace("'-007", "3")
        Path("bad.csv").write_text(mended.replace("5,,,", "5,Eve,4,"))
        again = await imported(engine, importer, "bad.csv")
        status = await engine.jobs.get(again)
    assert (status.succeeded, status.failed) == (4, 0)
    assert [(person.id, person.name, person.age) for person in kept[1:]] == [
        ("008", "=SUM(A1)", 1),
        ("+49 123", "'=x", 2),
        ("\u00fc;@1", "a, b", 3),
        ("5", "Eve", 4),
    ]


async def test_an_open_file_gets_csv(engine: Engine, people: Any) -> None:
    out = io.BytesIO()
    async with engine:
        job_id = await imported(
            engine, people[0], [{"id": "1", "name": "a", "age": -1, "more": [1, {"x": None}]}]
        )
        assert await engine.failures.export(job_id, out) == 1
    header, found = csv.reader(io.StringIO(out.getvalue().decode(), newline=""))
    assert (header[:4], found[:4]) == (["id", "name", "age", "more"], ["1", "a", "-1", '[1,{"x":null}]'])


async def test_rows_that_were_mended_are_left_out(engine: Engine) -> None:
    refused = {2}

    @engine.importer("people", row=Person)
    async def import_people(rows: list[Person]) -> None:
        if any(row.age in refused for row in rows):
            raise LookupError

    async with engine:
        job_id = await imported(engine, import_people.options(retry=_once()), _people(4))
        assert await engine.failures.export(job_id, "bad.jsonl") == 1
        refused.clear()
        await engine.failures.retry(job_id)
        await engine.worker(burst=True).run()
        assert await engine.failures.export(job_id, "bad.jsonl") == 0
        assert Path("bad.jsonl").read_text() == ""
        assert await engine.failures.export(job_id, "bad.jsonl", unresolved=False) == 1
    (line,) = Path("bad.jsonl").read_text().splitlines()
    assert json.loads(line)["_error"] == "LookupError"


async def test_what_can_not_be_written_is_told(engine: Engine, people: Any, tmp_path: Path) -> None:
    async with engine:
        job_id = await imported(engine, people[0], _people(1))
        with pytest.raises(PayloadError, match="is written as"):
            await engine.failures.export(job_id, "bad.pdf")
        with pytest.raises(DeliveryError, match="can't be written: No such file"):
            await engine.failures.export(job_id, "nowhere/bad.csv")
        with pytest.raises(JobNotFound):
            await engine.failures.export("nobody", "bad.csv")
    assert "bad.csv" not in left_in(tmp_path)


def _people(count: int) -> list[dict[str, Any]]:
    return [{"id": str(n), "name": "a", "age": n} for n in range(count)]


def _once() -> Any:
    from aiojobs_engine import Retry

    return Retry.none()
