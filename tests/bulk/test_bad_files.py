"""Files as bad as real ones, and worse: a clear error by row or by file, and memory that stays flat."""

import gzip
import io
import json
import os
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backports import zstd

from aiojobs_engine import Engine, JobFailure, JobStatus, SourceError
from tests.bulk.conftest import counts, work
from tests.bulk.test_formats import ROWS, SHEET, json_lines, table, workbook

MB = 1024 * 1024
FILES = Path("aiojobs-files")


class User(msgspec.Struct):
    email: str
    zip: str
    age: int


@pytest.fixture
def engine() -> Engine:
    return Engine("memory://", config={"chunking": {"size": 5, "threshold": 10}})


def bounded(**limits: int) -> Engine:
    return Engine("memory://", config={"chunking": {"size": 5, "threshold": 10}, "limits": limits})


def importer(engine: Engine, row: Any, handled: list[Any]) -> Any:
    if "users" in engine.registry.types:
        return engine.registry.get("users")

    @engine.importer("users", row=row)
    async def import_users(rows: list[Any]) -> None:
        handled.extend(rows)

    return import_users


async def imported(
    engine: Engine, source: Any, row: Any = dict[str, str]
) -> tuple[JobStatus, list[Any], list[JobFailure]]:
    handled: list[Any] = []
    users = importer(engine, row, handled)
    async with engine:
        handle = await engine.dispatch(users, source)
        await work(engine)
        failures = [failure async for failure in engine.failures.list(handle.id)]
        status = await handle.status()
    counts(status)
    return status, handled, failures


async def refused(engine: Engine, source: Any, row: Any = dict[str, str]) -> str:
    """What is said where the dispatch of a source is refused, which stores nothing."""
    users = importer(engine, row, [])
    async with engine:
        with pytest.raises(SourceError) as caught:
            await engine.dispatch(users, source)
        assert [job async for job in engine.jobs.list()] == []
    assert [path for path in FILES.rglob("*") if path.is_file()] == []
    assert caught.value.argument == "source"
    return str(caught.value)


@contextmanager
def flat_memory(most: int) -> Iterator[None]:
    """Python's own memory grows by no more than `most` bytes inside, at any time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most


class Endless:
    """A stream that gives `head`, then `size` bytes of one kind, then `tail`, and was never a file."""

    def __init__(self, head: bytes, size: int, tail: bytes = b"", filling: bytes = b"a") -> None:
        self._head = head
        self._left = size
        self._tail = tail
        self._filling = filling

    def read(self, size: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        elif self._left:
            data = self._filling * min(size, self._left)
            self._left -= len(data)
        else:
            data, self._tail = self._tail[:size], self._tail[size:]
        return data


async def test_quoted_line_ends_belong_to_their_row(engine: Engine) -> None:
    rows = "".join(f'{n},"line one\r\nline, ""two""\n\n{n}"\r\n' for n in range(1, 31))
    _, handled, failures = await imported(engine, io.BytesIO(f"n,text\r\n{rows}".encode()))
    assert not failures
    assert handled == [{"n": str(n), "text": f'line one\r\nline, "two"\n\n{n}'} for n in range(1, 31)]


async def test_ragged_rows_fail_alone(engine: Engine) -> None:
    rows = [f"{n},x" for n in range(30)]
    rows[7], rows[20] = "7", "20,x,y,z"
    status, handled, failures = await imported(engine, io.BytesIO("\n".join(["a,b", *rows]).encode()))
    assert (len(handled), counts(status)) == (28, (28, 2, 0, 30))
    assert [(f.row_number, f.message, f.payload) for f in failures] == [
        (8, "the row has 1 columns, the header 2", {"a": "7"}),
        (21, "the row has 4 columns, the header 2", {"a": "20", "b": "x", "column 3": "y", "column 4": "z"}),
    ]


@pytest.mark.case("X26")
async def test_nul_characters_fail_their_row(engine: Engine) -> None:
    rows = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(20)) + b"20,\0\n21,x\n"
    _, handled, failures = await imported(engine, io.BytesIO(rows))
    assert len(handled) == 21
    assert [(f.row_number, f.message) for f in failures] == [(21, "the row holds a NUL character")]


async def test_columns_of_one_name_are_refused(engine: Engine) -> None:
    assert "names 'a' twice" in await refused(engine, io.BytesIO(b"a,b,a\n1,2,3\n"))


@pytest.mark.case("X26")
@pytest.mark.parametrize("columns", [10_000, 100_000])
async def test_too_many_columns_are_refused(engine: Engine, columns: int) -> None:
    names = [f"c{n}" for n in range(columns)]
    for source in (",".join(names).encode(), table([dict.fromkeys(names[:10_000], 1)])):
        said = await refused(engine, io.BytesIO(source))
        assert "columns, at most 1,000 can be (limits.columns)" in said
    wide = bounded(columns=columns)
    row = b",".join([b"x"] * columns)
    status, handled, _ = await imported(wide, io.BytesIO(b"\n".join([",".join(names).encode(), row])))
    assert (status.succeeded, len(handled[0])) == (1, columns)


@pytest.mark.case("X26")
@pytest.mark.parametrize("name", ["csv", "jsonl"])
async def test_a_line_without_end_costs_one_row_and_no_memory(name: str) -> None:
    begin, row = (b"a\nb\n", b"\nc\n") if name == "csv" else (b'{"a":"b"}\n', b'\n{"a":"c"}\n')
    with flat_memory(8 * MB):
        status, handled, failures = await imported(
            bounded(record_bytes=64 * 1024), Endless(begin, 100 * MB, row)
        )
    assert (status.succeeded, handled) == (2, [{"a": "b"}, {"a": "c"}])
    assert [(f.row_number, f.message) for f in failures] == [(2, "the line is longer than 65,536 bytes")]
    assert sum(map(len, failures[0].payload.values())) <= 1000


@pytest.mark.case("X26")
async def test_a_file_of_one_endless_line_is_refused_after_its_beginning(engine: Engine) -> None:
    with flat_memory(20 * MB):
        assert "no header ends within 1,048,576 bytes" in await refused(engine, Endless(b"", 10**10))
    with flat_memory(20 * MB):
        said = await refused(engine, Endless(b'[{"a":"', 10**10))
    assert "row 1 is longer than 1,048,576 bytes (limits.record_bytes)" in said


@pytest.mark.case("X26")
async def test_only_regular_files_are_opened(engine: Engine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "directory.csv").mkdir()
    for name in ("fifo.csv", "zero.csv", "directory.csv"):
        assert "is no regular file" in await refused(engine, tmp_path / name)


def gzip_bomb(size: int) -> bytes:
    pack = zlib.compressobj(9, wbits=31)
    filling = b"a,b\n" * (MB // 4)
    return b"".join(pack.compress(filling) for _ in range(size // MB)) + pack.flush()


@pytest.mark.case("X6")
@pytest.mark.parametrize("name", ["gzip", "zstd"])
async def test_a_bomb_is_stopped_where_it_swells(engine: Engine, name: str) -> None:
    bomb = gzip_bomb(100 * MB) if name == "gzip" else zstd.compress(b"a,b\n" * (25 * MB))
    assert len(bomb) < 400_000
    with flat_memory(24 * MB):
        said = await refused(engine, io.BytesIO(bomb))
    assert said == f"the {name} data unfolds to more than 100 times its size (limits.inflation)"
    said = await refused(bounded(inflation=10_000, inflated_bytes=20 * MB), io.BytesIO(bomb))
    assert said == f"the {name} data unfolds to more than 20,971,520 bytes (limits.inflated_bytes)"


@pytest.mark.case("X6")
async def test_what_is_compressed_twice_is_refused(engine: Engine) -> None:
    assert "compressed twice" in await refused(engine, io.BytesIO(gzip.compress(gzip.compress(b"a\n1\n"))))


def with_part(name: str, content: bytes, *, size: int | None = None) -> bytes:
    """A workbook with one part replaced, and perhaps a lie about its size."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(SHEET))) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            data = content if part.filename == name else old.read(part)
            new.writestr(part.filename, data, zipfile.ZIP_DEFLATED, compresslevel=9)
    made = out.getvalue()
    if size is not None:
        made = made.replace(len(content).to_bytes(4, "little"), size.to_bytes(4, "little"))
    return made


SHEET_PART = "xl/worksheets/sheet1.xml"
OPENED = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
CLOSED = b"</sheetData></worksheet>"


@pytest.mark.case("X7")
@pytest.mark.parametrize("is_lying", [False, True])
async def test_a_workbook_that_swells_is_refused(engine: Engine, *, is_lying: bool) -> None:
    rows = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    sheet = OPENED + rows * (100 * MB // len(rows)) + CLOSED
    bomb = with_part(SHEET_PART, sheet, size=1000 if is_lying else None)
    assert len(bomb) < 400_000
    del sheet
    with flat_memory(24 * MB):
        said = await refused(engine, io.BytesIO(bomb))
    assert said == "the workbook unfolds to more than 100 times its size (limits.inflation)"
    said = await refused(bounded(inflation=10_000, workbook_bytes=20 * MB), io.BytesIO(bomb))
    assert "more than 20,971,520 bytes (limits.workbook_bytes); save the sheet as CSV" in said


@pytest.mark.case("X7")
async def test_a_workbook_with_a_cell_far_away_takes_nobody_along(engine: Engine) -> None:
    cell = b'<row r="%d"><c r="%s"><v>1</v></c></row>'
    sheet = OPENED + cell % (1, b"A1") + cell % (1_048_576, b"XFD1048576") + CLOSED
    said = await refused(engine, io.BytesIO(with_part(SHEET_PART, sheet)))
    assert "can't be read within 1,600,000,000 bytes of memory; save the sheet as CSV" in said


@pytest.mark.case("X7")
async def test_a_workbook_that_declares_entities_is_refused(engine: Engine) -> None:
    strings = (
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
        b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>&b;</t></si></sst>'
    )
    assert "declares entities" in await refused(
        engine, io.BytesIO(with_part("xl/sharedStrings.xml", strings))
    )


@pytest.mark.case("X7")
async def test_a_million_shared_strings_are_read(engine: Engine) -> None:
    strings = b"".join(b"<si><t>%d</t></si>" % n for n in range(1_000_000))
    space = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    sheet = b"".join(
        b'<row r="%d"><c r="A%d" t="s"><v>%d</v></c></row>' % (n, n, place)
        for n, place in enumerate((5, 999_999, 0), 1)
    )
    source = io.BytesIO(with_part("xl/sharedStrings.xml", space + strings + b"</sst>"))
    with zipfile.ZipFile(source) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, OPENED + sheet + CLOSED if name == SHEET_PART else data)
    out.seek(0)
    _, handled, _ = await imported(engine, out)
    assert handled == [{"5": "999999"}, {"5": "0"}]


@pytest.mark.parametrize(
    "source, message",
    [
        (gzip.compress(b"a,b\n" * 10_000)[:-20], "the gzip data is broken or cut off"),
        (gzip.compress(b"a,b\n" * 10_000)[:50] + b"\xff" * 50, "the gzip data is broken or cut off"),
        (zstd.compress(os.urandom(100_000))[:-20], "the zstd data is broken or cut off"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "the zstd data is broken or cut off"),
        (workbook(SHEET)[:-100], "the source is no workbook"),
        (with_part(SHEET_PART, b"<worksheet"), "workbook can't be read"),
        (table(ROWS)[:-50], "the Parquet file can't be read"),
        (b"PAR1" + b"\0" * 100, "the Parquet file can't be read"),
        (json.dumps(ROWS).encode()[:-2], "the JSON array is cut off after row 0"),
        (json.dumps(ROWS).encode()[:-30], "the JSON array "),
        (b"[1,]", "the JSON array can't be read after row 0"),
        (b'[{"a":1} {"a":2}]', "the JSON array can't be read after row 0"),
        (b"\n\n", "empty"),
        (b"%PDF-1.7\n", "the source is PDF; save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office file"),
        (b"\0\0\1\1" * 100, "full of NUL"),
    ],
    ids=range(16),
)
async def test_broken_files_are_refused(engine: Engine, source: bytes, message: str) -> None:
    assert message in await refused(engine, io.BytesIO(source))


@pytest.mark.parametrize("name", ["users.csv", "users.json", "users.jsonl", "users.xlsx", "users.parquet"])
async def test_empty_files_are_refused(engine: Engine, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    said = await refused(engine, tmp_path / name)
    assert "empty" in said or "its content is something else" in said


async def test_an_archive_is_no_workbook(engine: Engine) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("users.csv", "a,b\n")
    out.seek(0)
    assert "a ZIP archive, but no XLSX workbook; unpack it first" in await refused(engine, out)


async def test_unknown_suffixes_name_the_known_ones(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "users.dat").write_bytes(b"a,b\n1,2\n")
    said = await refused(engine, tmp_path / "users.dat")
    assert said.startswith("'users.dat' has no suffix that tells its format; they are .csv, .json")


async def test_lines_that_are_no_object_fail_alone(engine: Engine) -> None:
    lines = json_lines().split(b"\n")
    lines[2:2] = [b"{", b"[1]", b"", b'{"email":"\xff"}', b"  ", b'"x"', b'{"email":1},{"email":2}']
    status, handled, failures = await imported(engine, Named(b"\n".join(lines), "users.jsonl"), User)
    assert len(handled) == 23
    assert [failure.row_number for failure in failures] == [3, 4, 6, 8, 9]
    assert all(failure.message.startswith("the line is no JSON object: ") for failure in failures)
    assert failures[0].payload == {"line": "{"}
    assert counts(status) == (23, 5, 0, 28)


async def test_elements_that_are_no_object_fail_alone(engine: Engine) -> None:
    _, handled, failures = await imported(engine, io.BytesIO(b'[{"a":"1"}, 5, null,\n{"a":"2"}]'))
    assert handled == [{"a": "1"}, {"a": "2"}]
    assert [failure.row_number for failure in failures] == [2, 3]


class Named(io.BytesIO):
    """A stream with a name, as uploads have one."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@pytest.mark.case("X8")
@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\uff1d1", "'=1"])
async def test_formulas_are_taken_as_they_are_written(engine: Engine, cell: str) -> None:
    _, handled, _ = await imported(engine, io.BytesIO(f'a\n"{cell}"\n'.encode()))
    assert handled == [{"a": cell}]
    _, handled, _ = await imported(
        Engine("memory://"), io.BytesIO(workbook([["a"], [cell]], None, strings_to_formulas=False))
    )
    assert handled == [{"a": cell}]


@pytest.mark.case("X9")
@pytest.mark.parametrize(
    "name", ["../../x.csv", "/etc/passwd.csv", "C:\\x.csv", "a\0b.csv", "x" * 300 + ".csv"]
)
async def test_the_name_of_an_upload_leads_nowhere(engine: Engine, name: str) -> None:
    async with engine:
        handle = await engine.dispatch(importer(engine, dict[str, str], []), Named(b"a\n1\n", name))
        (stored,) = (path for path in FILES.rglob("*") if path.is_file())
        assert stored.parent == FILES / f"job-{handle.id}"
        await work(engine)
        assert (await handle.status()).succeeded == 1
