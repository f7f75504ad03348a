"""What stands in the files: values of every kind, in every form, and no formulas that nobody asked for."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine import ConfigError, ExportError, PayloadError
from aiojobs_engine.bulk.columns import Columns, harmless, original
from aiojobs_engine.bulk.sinks import FORMATS, Format, format_of, sink_of
from aiojobs_engine.bulk.sinks.compression import compressed

DANGEROUS = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\0=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).replace(tzinfo=None)
HARMLESS = ["", "a", "1", "a=b", "x-1", "it's", "'quoted'", "a@b.org", "<=", "1-2"]


class Colour(Enum):
    RED = "red"
    DANGER = "=1"


class Inner(msgspec.Struct):
    n: int


def written(name: str, rows: list[tuple[Any, ...]], columns: Any = None, formulas: Any = ()) -> bytes:
    """The file of such rows, encoded two at a time."""
    labels = columns or [f"c{n}" for n in range(len(rows[0]))]
    form = format_of(name)
    sink = sink_of(form, Columns(labels, formulas, "a test"))
    pages = [sink.encode(rows[at : at + 2], at + 1) for at in range(0, len(rows), 2)]
    return b"".join(compressed(sink.blocks(lambda: iter(pages)), form.compression))


def cells(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


ODD = (
    None,
    True,
    12,
    1.5,
    Decimal("0.10"),
    UUID(int=7),
    Colour.RED,
    date(2026, 1, 31),
    datetime(2026, 1, 31, 12, tzinfo=UTC),
    time(9, 30),
    b"\x00\x01",
    [1, {"a": None}],
    Inner(3),
    "007",
)


@pytest.mark.parametrize(
    "name, delimiter", [("x.csv", ","), ("x.tsv", "\t"), ("x.csv.gz", ","), ("x.csv.zst", ",")]
)
def test_values_of_every_kind_as_text(name: str, delimiter: str) -> None:
    data = written(name, [ODD])
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    elif name.endswith(".zst"):
        data = import_module("backports.zstd").decompress(data)
    assert cells(data, delimiter)[1] == [
        "",
        "true",
        "12",
        "1.5",
        "0.10",
        "00000000-0000-0000-0000-000000000007",
        "red",
        "2026-01-31",
        "2026-01-31T12:00:00+00:00",
        "09:30:00",
        "AAE=",
        '[1,{"a":null}]',
        '{"n":3}',
        "007",
    ]


def test_values_of_every_kind_as_json() -> None:
    (line,) = written("x.jsonl", [ODD]).splitlines()
    found = json.loads(line)
    assert list(found) == [f"c{n}" for n in range(len(ODD))]
    assert [found[f"c{n}"] for n in (0, 1, 2, 3, 4, 6, 11, 12, 13)] == [
        None,
        True,
        12,
        1.5,
        "0.10",
        "red",
        [1, {"a": None}],
        {"n": 3},
        "007",
    ]


def test_json_keeps_what_a_spreadsheet_would_compute() -> None:
    assert json.loads(written("x.jsonl", [("=1", "-1")])) == {"c0": "=1", "c1": "-1"}


@pytest.mark.case("X8")
@pytest.mark.parametrize("text", DANGEROUS)
@pytest.mark.parametrize("lead", ["", "'", "''", " ", '"', '" ', "\u00a0"])
def test_formulas_are_made_harmless(text: str, lead: str) -> None:
    (shown,) = cells(written("x.csv", [(lead + text, 1)]))[1][:1]
    assert shown == f"'{lead}{text}"
    assert original(shown) == lead + text


@pytest.mark.case("X8")
@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cells(written("x.csv", [(text, "x")]))[1][0] == text


@pytest.mark.case("X8")
def test_numbers_stay_numbers() -> None:
    row = (-1, -1.5, Decimal("-0.1"), float("-inf"), -(10**20))
    assert cells(written("x.csv", [row]))[1] == ["-1", "-1.5", "-0.1", "-inf", "-100000000000000000000"]


@pytest.mark.case("X8")
def test_one_dangerous_cell_changes_no_other() -> None:
    rows: list[tuple[Any, ...]] = [("a", -1, None), ("=1", -2, "+b"), (None, -3, Colour.DANGER)]
    assert cells(written("x.csv", rows))[1:] == [["a", "-1", ""], ["'=1", "-2", "'+b"], ["", "-3", "'=1"]]


@pytest.mark.case("X8")
@pytest.mark.parametrize("text", ["a;=1", "a;'=1", "a\t=1", "a|@x", 'a; "+1'])
def test_a_formula_behind_another_delimiter_stays_in_its_cell(text: str) -> None:
    data = written("x.csv", [("b", 2), (text, 1)])
    assert cells(data)[2] == [text, "1"]
    last = data.decode().splitlines()[-1] if "\n" not in text else ""
    assert last.startswith('"'), "it is quoted, so that no other delimiter splits it"


@pytest.mark.case("X8")
def test_columns_may_opt_out() -> None:
    data = written("x.csv", [("=1", "=2")], columns=["safe", "computed"], formulas=["computed"])
    assert cells(data)[1] == ["'=1", "=2"]


@pytest.mark.case("X8")
def test_a_label_is_no_formula_either() -> None:
    assert cells(written("x.csv", [(1, 2)], columns={"a": "=A1", "b": "B"}))[0] == ["'=A1", "B"]


@given(st.text())
def test_what_was_made_harmless_is_found_again(text: str) -> None:
    assert original(harmless(text)) == text


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers()), min_size=1, max_size=5))
def test_csv_is_read_back_as_it_was(rows: list[tuple[str, int]]) -> None:
    found = cells(written("x.csv", list(rows)))[1:]
    assert [[original(text), number] for text, number in found] == [[text, str(n)] for text, n in rows]


def workbook(data: bytes) -> list[list[Any]]:
    from python_calamine import CalamineWorkbook

    found: list[list[Any]] = (
        CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    )
    return found


def test_excel_has_numbers_dates_and_text() -> None:
    row = (1, 1.5, Decimal("2.5"), True, None, "007", date(2026, 1, 31), NOON, 10**18)
    labels, found, second = workbook(written("x.xlsx", [row, row]))
    assert labels == [f"c{n}" for n in range(9)]
    assert found == second
    assert found == [1, 1.5, 2.5, True, "", "007", date(2026, 1, 31), NOON, str(10**18)]


@pytest.mark.case("X8")
def test_excel_computes_only_what_it_may() -> None:
    data = written("x.xlsx", [("=1+1", "=1+1", "-a")], columns=["a", "b", "c"], formulas=["b"])
    assert workbook(data)[1][::2] == ["'=1+1", "'-a"]
    sheet = _part(data, "xl/worksheets/sheet1.xml")
    assert sheet.count("<f>1+1</f>") == 1


def test_excel_refuses_what_a_cell_does_not_hold() -> None:
    with pytest.raises(ExportError, match=r"row 1 has a text of 32,768 characters in column 'c0'"):
        written("x.xlsx", [("a" * 32_768,)])


def test_excel_refuses_more_rows_than_a_sheet_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiojobs_engine.bulk.sinks.excel.ROWS", 4)
    assert len(workbook(written("x.xlsx", [(1,)] * 3))) == 4
    with pytest.raises(ExportError, match=r"a sheet of \.xlsx holds 4 rows"):
        written("x.xlsx", [(1,)] * 4)


def parquet(data: bytes) -> Any:
    return import_module("pyarrow.parquet").read_table(io.BytesIO(data))


def test_parquet_finds_the_types_of_columns() -> None:
    when = datetime(2026, 1, 31, 12, tzinfo=UTC)
    rows: list[tuple[Any, ...]] = [
        (None, 1, True, "007", date(2026, 1, 1), when, Decimal("0.10"), None, 1),
        (2, 1.5, False, None, None, when, None, None, "b"),
        (3, 2, None, "=1", None, None, None, None, None),
    ]
    table = parquet(written("x.parquet", rows))
    types = [
        "int64",
        "double",
        "bool",
        "string",
        "date32[day]",
        "timestamp[us, tz=UTC]",
        "string",
        "string",
        "string",
    ]
    assert [str(field.type) for field in table.schema] == types
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (None, 1.0, True, "007", date(2026, 1, 1), when, "0.10", None, "1"),
        (2, 1.5, False, None, None, when, None, None, "b"),
        (3, 2.0, None, "=1", None, None, None, None, None),
    ]


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.xlsx", "x.parquet"])
def test_a_file_without_rows_is_one(name: str) -> None:
    sink = sink_of(format_of(name), Columns(["a"], (), "a test"))
    data = b"".join(sink.blocks(lambda: iter(())))
    if name == "x.xlsx":
        assert workbook(data) == [["a"]]
    elif name == "x.parquet":
        assert parquet(data).num_rows == 0
    else:
        assert data == (b"a\r\n" if name == "x.csv" else b"")


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet"])
def test_a_value_that_can_not_be_written_names_its_row(name: str) -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError("no words for this")

    sink = sink_of(format_of(name), Columns(["a"], (), "a test"))
    with pytest.raises(ExportError, match=r"row 1,001 can't be written: .*no words for this"):
        sink.encode([("a",), (Odd(),)], 1000)


@pytest.mark.parametrize(
    "name, form",
    [
        ("a.csv", Format("csv", None)),
        ("/b/a.b.CSV.GZ", Format("csv", "gz")),
        ("a.parquet.zst", Format("parquet", "zst")),
        ("a.ndjson", Format("ndjson", None)),
    ],
)
def test_the_end_of_the_name_says_the_form(name: str, form: Format) -> None:
    assert format_of(name) == form


@pytest.mark.parametrize("name", ["a", "a.pdf", "csv", "a.gz", "", ".gz", "a.csv.bz2"])
def test_other_forms_are_refused(name: str) -> None:
    with pytest.raises(PayloadError, match=r"is written as \.csv, \.tsv") as caught:
        format_of(name)
    assert caught.value.argument == "to"


def test_the_nearest_form_is_named() -> None:
    with pytest.raises(PayloadError, match=r"did you mean '\.xlsx'"):
        format_of("a.xls")


@pytest.mark.parametrize(
    "form, module, words",
    [
        ("xlsx", "xlsxwriter", "excel"),
        ("parquet", "pyarrow", "parquet"),
        ("csv.zst", "backports.zstd", "zstd"),
    ],
)
def test_an_extra_that_is_absent_is_named(
    form: str, module: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in (module, "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"aiojobs-engine\[{words}\]"):
        written(f"x.{form}", [("a",)])


def _part(data: bytes, name: str) -> str:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name).decode()


def _every_form() -> Iterator[str]:
    yield from FORMATS


@pytest.mark.parametrize("form", list(_every_form()))
def test_every_form_has_a_writer(form: str, tmp_path: Path) -> None:
    assert written(f"x.{form}", [("a", 1)])
