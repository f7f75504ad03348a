"""The same rows in every format, and what each format keeps of them."""

import datetime as dt
import gzip
import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any, TypedDict

import msgspec
import pyarrow as pa
import pydantic
import pytest
import xlsxwriter
from backports import zstd
from pyarrow import parquet

from aiojobs_engine import Engine, JobFailure, JobStatus, SourceError
from tests.bulk.conftest import counts, work

ROWS: list[dict[str, Any]] = [{"email": f"{n}@b", "zip": f"{n:05}", "age": n} for n in range(1, 24)]


class User(msgspec.Struct):
    email: str
    zip: str
    age: int


def delimited(delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    lines = [delimiter.join(ROWS[0]), *(delimiter.join(map(str, row.values())) for row in ROWS)]
    return "\r\n".join(lines).encode(encoding)


def json_lines(rows: list[dict[str, Any]] = ROWS) -> bytes:
    return b"\n".join(map(msgspec.json.encode, rows))


def workbook(rows: list[list[Any]], sheet: str | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, **options}) as book:
        page = book.add_worksheet(sheet)
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, dt.date):
                    page.write_datetime(number, column, value, day)
                else:
                    page.write(number, column, value)
    return out.getvalue()


def table(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


SHEET = [list(ROWS[0]), *([row["email"], row["zip"], row["age"]] for row in ROWS)]
FILES: dict[str, bytes] = {
    "users.csv": delimited(),
    "users.txt": delimited("|"),
    "semicolons.csv": delimited(";"),
    "bom.csv": delimited(encoding="utf-8-sig"),
    "utf16.csv": delimited(encoding="utf-16"),
    "utf16le.csv": delimited(encoding="utf-16-le"),
    "users.tsv": delimited("\t"),
    "users.json": json.dumps(ROWS, indent=4).encode(),
    "one-line.json": json.dumps(ROWS).encode("utf-8-sig"),
    "lines.json": json_lines(),
    "users.jsonl": json_lines() + b"\n",
    "crlf.ndjson": json_lines().replace(b"\n", b"\r\n"),
    "users.xlsx": workbook(SHEET),
    "users.parquet": table(ROWS),
    "users.csv.gz": gzip.compress(delimited()[:100]) + gzip.compress(delimited()[100:]),
    "users.jsonl.zst": zstd.compress(json_lines()[:100]) + zstd.compress(json_lines()[100:]),
    "users.xlsx.gz": gzip.compress(workbook(SHEET)),
    "users.parquet.zst": zstd.compress(table(ROWS)),
    "users.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "excel-in-disguise.csv": workbook(SHEET),
    "no-suffix": json_lines(),
}

Importing = Callable[..., Any]


@pytest.fixture
def engine() -> Engine:
    return Engine("memory://", config={"chunking": {"size": 5, "threshold": 10}})


async def imported(
    engine: Engine, source: Any, row: Any = User, **options: Any
) -> tuple[JobStatus, list[Any], list[JobFailure]]:
    """How an import of `source` ends: its status, the rows that its handler got, and those that failed."""
    handled: list[Any] = []

    @engine.importer("users", row=row, **options)
    async def import_users(rows: list[Any]) -> None:
        handled.extend(rows)

    async with engine:
        handle = await engine.dispatch(import_users, source)
        await work(engine)
        failures = [failure async for failure in engine.failures.list(handle.id)]
        return await handle.status(), handled, failures


@pytest.mark.parametrize("name", FILES)
async def test_every_format_gives_the_same_rows(engine: Engine, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])

    status, handled, failures = await imported(engine, path)

    assert sorted(handled, key=lambda row: row.age) == [User(**row) for row in ROWS]
    assert (counts(status), failures) == ((23, 0, 0, 23), [])
    assert status.strategy == "batch"


@pytest.mark.parametrize("name", FILES)
async def test_an_open_file_may_be_read_once_only(engine: Engine, name: str) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as end:
            end.write(FILES[name])

    writer = Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        status, handled, _ = await imported(engine, Named(pipe, name))
    writer.join()

    assert len(handled) == 23
    assert counts(status) == (23, 0, 0, 23)


class Named:
    """A stream with a name, as uploads have one."""

    def __init__(self, file: Any, name: str) -> None:
        self.read = file.read
        self.name = name


@pytest.mark.parametrize("text", ["näme;grün\r\nä;1\r\né;2\r\nç;3", "a;b\r\nü;1\r\nö;2\r\nß;3\r\n€;4"])
async def test_a_file_of_a_western_office_is_read_as_such(engine: Engine, text: str) -> None:
    _, handled, _ = await imported(engine, io.BytesIO(text.encode("cp1252")), dict[str, str])
    names, *lines = (line.split(";") for line in text.split("\r\n"))
    assert handled == [dict(zip(names, line, strict=True)) for line in lines]


async def test_bytes_that_an_encoding_has_not_are_failed_rows(engine: Engine) -> None:
    data = "a,b\nä,1\nö,2\nü,3\n".encode("cp1252") + b"\x81,4\nx,5\n"
    _, handled, failures = await imported(engine, io.BytesIO(data), dict[str, str])
    assert [row["b"] for row in handled] == ["1", "2", "3", "5"]
    assert [(failure.row_number, failure.message) for failure in failures] == [
        (4, "the row holds bytes that are no cp1252")
    ]
    broken = b"\xff\xfe" + "a,b\nx,1\n".encode("utf-16-le") + b"\x00\xd8" + ",2\ny,3\n".encode("utf-16-le")
    _, handled, failures = await imported(Engine("memory://"), io.BytesIO(broken), dict[str, str])
    assert [row["b"] for row in handled] == ["1", "3"]
    assert [failure.row_number for failure in failures] == [2]


async def test_lines_in_another_encoding_are_failed_rows(engine: Engine) -> None:
    good = "".join(f"ä{n},{n}\n" for n in range(50)).encode()
    data = b"name,age\n" + good + "Jürgen,50\n".encode("cp1252") + good
    status, _, failures = await imported(engine, io.BytesIO(data), dict[str, str])
    assert counts(status) == (100, 1, 0, 101)
    assert [(f.row_number, f.message, f.payload["name"]) for f in failures] == [
        (51, "the row is no UTF-8 (byte 0xfc)", "J\\xfcrgen")
    ]


async def test_a_declared_encoding_wins(engine: Engine) -> None:
    data = "name,age\nŻółw,1\n".encode("cp1250")
    _, handled, _ = await imported(engine, io.BytesIO(data), dict[str, str], encoding="cp1250")
    assert handled == [{"name": "Żółw", "age": "1"}]


async def test_a_declared_header_makes_the_first_line_a_row(engine: Engine) -> None:
    _, handled, _ = await imported(engine, io.BytesIO(b"a@b,01,1\n"), header=["email", "zip", "age"])
    assert handled == [User("a@b", "01", 1)]


async def test_a_declared_format_wins_over_the_name(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(json_lines())
    _, handled, _ = await imported(engine, path, format="jsonl")
    assert len(handled) == 23


class Optional(msgspec.Struct):
    a: str | None = "missing"
    b: int | None = -1


async def test_empty_and_missing_differ(engine: Engine) -> None:
    lines = b'{"a":"","b":0}\n{"a":null,"b":null}\n{}\n'
    _, handled, _ = await imported(engine, io.BytesIO(lines), Optional, format="jsonl")
    assert handled == [Optional("", 0), Optional(None, None), Optional("missing", -1)]
    _, handled, _ = await imported(Engine("memory://"), io.BytesIO(b"a,b\n,\n"), Optional)
    assert handled == [Optional("", None)]


class Dated(msgspec.Struct):
    text: str
    day: dt.date
    at: dt.datetime
    price: Decimal
    is_on: bool
    weight: float


async def test_cells_of_a_workbook_become_what_the_row_type_says(engine: Engine) -> None:
    header = ["text", "day", "at", "price", "is_on", "weight"]
    day = dt.datetime(2026, 3, 31)  # noqa: DTZ001 - workbooks know no zones
    rows = [["007", day, day, 1.1, True, 3], [12, day, "31.03.2026", 2, False, 0.5]]
    _, handled, failures = await imported(engine, io.BytesIO(workbook([header, *rows])), Dated)
    assert handled == [Dated("007", day.date(), day, Decimal("1.1"), is_on=True, weight=3.0)]
    assert [(f.row_number, f.field) for f in failures] == [(2, "at")]
    assert failures[0].payload["text"] == "12"


async def test_dates_are_never_guessed(engine: Engine) -> None:
    rows = b"text,day,at,price,is_on,weight\n" + b"x,03/04/2026,2026-04-03T10:00:00,1,true,1\n"
    _, _, failures = await imported(engine, io.BytesIO(rows), Dated)
    assert [failure.field for failure in failures] == ["day"]


async def test_values_of_parquet_keep_their_types(engine: Engine) -> None:
    at = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
    row = {"text": "007", "day": at.date(), "at": at, "price": Decimal("1.10"), "is_on": True}
    source = table([{**row, "weight": 0.5}, {**row, "weight": float("nan")}, {**row, "weight": None}])
    _, handled, failures = await imported(engine, io.BytesIO(source), Dated)
    assert handled[0] == Dated("007", at.date(), at, Decimal("1.10"), is_on=True, weight=0.5)
    assert str(handled[0].price) == "1.10"
    assert [(failure.row_number, failure.field) for failure in failures] == [(3, "weight")]
    assert math.isnan(handled[1].weight)


async def test_a_declared_sheet_is_read(engine: Engine) -> None:
    source = workbook(SHEET, "Users")
    _, handled, _ = await imported(engine, io.BytesIO(source), sheet="Users")
    assert len(handled) == 23
    with pytest.raises(SourceError, match="no sheet 'Nobody'; its sheets are 'Users'"):
        await imported(Engine("memory://"), io.BytesIO(source), sheet="Nobody")


@dataclass
class DataUser:
    email: str
    age: int


class TypedUser(TypedDict):
    email: str
    age: int


class ModelUser(pydantic.BaseModel):
    email: str
    age: int = pydantic.Field(ge=0)


@pytest.mark.parametrize("row", [DataUser, TypedUser, ModelUser])
async def test_row_types_of_every_kind(engine: Engine, row: Any) -> None:
    _, handled, failures = await imported(engine, io.BytesIO(b"email,age\na@b,1\nb@c,x\n"), row)
    assert [made["email"] if isinstance(made, dict) else made.email for made in handled] == ["a@b"]
    assert [(failure.row_number, failure.field) for failure in failures] == [(2, "age")]
