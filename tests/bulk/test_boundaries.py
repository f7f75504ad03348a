"""Whatever the text: the planner and the readers of its parts see the same records, and those of `csv`."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.bulk import seen_keys
from aiojobs_engine.bulk.plan import Part, Plan, parts
from aiojobs_engine.bulk.reading import load
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.bulk.seen_keys import with_repeated
from aiojobs_engine.bulk.sources import lines
from aiojobs_engine.bulk.sources.delimited import Delimited

CELLS = st.text(alphabet='ab,;"\n\r é', max_size=8)
BLOCKS = st.sampled_from([1, 7, 64, 64 * 1024])
NAMES = ["first", "second", "third"]


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """Rows as the csv module writes them, and their delimiter."""
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    for row in draw(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=20)):
        if draw(st.integers(0, 9)) == 0:
            out.write("\n")
        writer.writerow(row)
    return out.getvalue(), delimiter


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources") / "source.csv"


class Source:
    """A stored file, cut into parts."""

    def __init__(
        self,
        place: Path,
        body: bytes,
        delimiter: str,
        *,
        size: int,
        key: str | None = None,
        most: int = lines.RECORD_BYTES,
    ) -> None:
        header = delimiter.join(NAMES).encode() + b"\n"
        place.write_bytes(header + body)
        self.place = place
        self.form = Delimited(delimiter, 0, len(header), record_bytes=most)
        self.plan = Plan(source="s/0", size=len(header) + len(body), form=self.form, chunk_size=size)
        self.key = key
        with place.open("rb") as file:
            windows = with_repeated(self.form.scan(file, {}, key), file)
            self.parts: list[Part] = list(parts(windows, size))

    def loaded(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        model = RowModel(dict[str, str], self.key, "the test")
        for part in self.parts:
            found = load(self.place, self.plan, part, model)
            both: list[tuple[int, dict[str, Any] | None]] = list(zip(found.numbers, found.rows, strict=True))
            both += [(fault.row_number, None) for fault in found.faults]
            assert len(both) + found.skipped == part.rows
            yield from sorted(both, key=lambda pair: pair[0])


def records_of(body: str, delimiter: str) -> list[tuple[int, list[str]]]:
    records = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    return [(number, row) for number, row in enumerate(records, 1) if row]


def expected(records: list[tuple[int, list[str]]]) -> list[tuple[int, dict[str, Any] | None]]:
    return [
        (number, dict(zip(NAMES, row, strict=True)) if len(row) == 3 and "\0" not in "".join(row) else None)
        for number, row in records
    ]


@given(text=written(), size=st.integers(1, 7), block=BLOCKS)
@settings(max_examples=100, deadline=None)
def test_parts_hold_exactly_the_rows_that_were_written(
    place: Path, text: tuple[str, str], size: int, block: int
) -> None:
    body, delimiter = text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        source = Source(place, body.encode(), delimiter, size=size)
        found = list(source.loaded())
    assert found == expected(records_of(body, delimiter))
    assert all(part.rows for part in source.parts)


@given(
    body=st.text(alphabet='ab,"\n\r é\0', max_size=60).filter(lambda text: not ends_open(text)),
    size=st.integers(1, 5),
    block=BLOCKS,
)
@settings(max_examples=150, deadline=None)
def test_any_text_is_cut_where_csv_cuts_it(place: Path, body: str, size: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        found = list(Source(place, body.encode(), ",", size=size).loaded())
    assert found == expected(records_of(body, ","))


@given(body=st.binary(max_size=80), size=st.integers(1, 5), block=BLOCKS, most=st.sampled_from([8, 20, 1000]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_as_they_were_planned(
    place: Path, body: bytes, size: int, block: int, most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        source = Source(place, body, ",", size=size, most=most)
        numbers = [number for number, _ in source.loaded()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == sum(part.rows for part in source.parts)
    assert b"".join(body.split()) == b"" or numbers


@given(text=written(), size=st.integers(1, 7), block=BLOCKS, held=st.sampled_from([0, 1, 3, 1000]))
@settings(max_examples=200, deadline=None)
def test_later_rows_with_the_same_key_are_left_out(
    place: Path, text: tuple[str, str], size: int, block: int, held: int
) -> None:
    body, delimiter = text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        patch.setattr(seen_keys, "HELD", held)
        source = Source(place, body.encode(), delimiter, size=size, key="second")
        found = list(source.loaded())
    kept: list[tuple[int, list[str]]] = []
    seen: set[str] = set()
    for number, row in records_of(body, delimiter):
        key = row[1] if len(row) > 1 else ""
        if key not in seen:
            kept.append((number, row))
        if key:
            seen.add(key)
    assert found == expected(kept)


def ends_open(text: str) -> bool:
    """Whether a quote is open at the end: one more line then joins the last record."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    more = list(csv.reader(io.StringIO(text + "\nx", newline="")))
    return len(more) == len(rows) and bool(rows)
