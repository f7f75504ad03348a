"""Rows as delimited text in UTF-8, by the rules of Python's `csv`: RFC 4180, and lenient where files are not.

Boundaries are found on bytes read as Latin-1: one character per byte, so that positions are offsets, bytes
that are no UTF-8 can't shift a boundary, and quotes, delimiters and line ends look the same in both. A slice
that is read again therefore has exactly the records that were counted.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from aiojobs_engine.bulk.sources.delimited_scan import DelimitedScan, csv_reader
from aiojobs_engine.bulk.sources.encoding import UTF8
from aiojobs_engine.bulk.sources.lines import RECORD_BYTES, LineBlocks, Window
from aiojobs_engine.bulk.sources.records import Piece, TableRows, Unfit
from aiojobs_engine.core.errors import SourceError

_ROWS_AT_ONCE = 200  # so few that they stay in the caches, and give the garbage collector little to walk
_CHARS_AT_ONCE = 32 * 1024
_NUL = "the row holds a NUL character"


class Delimited(msgspec.Struct, frozen=True, tag="delimited", omit_defaults=True):
    """Delimited text: the header begins at byte `start`, the rows at `body`.

    Attributes:
        columns: their names, for a file without a header.
        record_bytes: of the longest row that is read.
        encoding: what the text was in before it was stored as UTF-8.
        has_dates: cells with a date alone stand for midnight where an instant is wanted, as in a workbook.
    """

    delimiter: str
    start: int
    body: int
    columns: tuple[str, ...] | None = None
    record_bytes: int = RECORD_BYTES
    encoding: str = UTF8
    has_dates: bool = False

    def header(self, file: BinaryIO) -> Sequence[str]:
        """The names of the columns, in order, as `header_of` gives them."""
        if self.columns is not None:
            return self.columns
        file.seek(self.start)
        return header_of(file.read(self.body - self.start), self.delimiter)

    def scan(self, file: BinaryIO, mapping: Mapping[str, str], key: str | None) -> Iterator[Window]:
        """All records in order, with the values of the field `key`."""
        names = [mapping.get(column, column) for column in self.header(file)]
        position = names.index(key) if key in names else None
        blocks = LineBlocks(file, self.body, self.record_bytes)
        return DelimitedScan(blocks, self.delimiter, position).windows()

    def read(
        self, file: BinaryIO, pieces: Iterable[Piece], mapping: Mapping[str, str]
    ) -> Iterator[TableRows]:
        """The rows of `pieces`, some at a time; those of another width, or that are no text, are unfit."""
        header = self.header(file)
        names = [mapping.get(column, column) for column in header]
        for first, data in pieces:
            text, is_text = _decoded(data)
            plain = _plain(text) if is_text else None
            if plain is None:
                yield from self._by_csv(first, text, header, names, is_text=is_text)
                continue
            number = first
            for lines, count in _blocks(plain):
                columns = _columns(lines, count, self.delimiter, len(header))
                if columns is None:
                    yield from self._by_csv(number, lines, header, names, is_text=True)
                else:
                    numbers = range(number, number + count)
                    yield TableRows(numbers, header, dict(zip(names, columns, strict=True)))
                number += count

    def _by_csv(
        self, first: int, text: str, header: Sequence[str], names: Sequence[str], *, is_text: bool
    ) -> Iterator[TableRows]:
        is_plain = is_text and "\0" not in text
        records = csv_reader(io.StringIO(text, newline=""), self.delimiter, self.record_bytes)
        number = first
        while found := list(islice(records, _ROWS_AT_ONCE)):
            if is_plain and set(map(len, found)) == {len(header)}:
                columns = dict(zip(names, zip(*found, strict=True), strict=True))
                yield TableRows(range(number, number + len(found)), header, columns)
            else:
                read = found if is_text else [self._bytes_as_text(row) for row in found]
                yield _sorted_out(number, read, header, names)
            number += len(found)

    def _bytes_as_text(self, row: Sequence[str]) -> list[str]:
        cells: list[str] = []
        for cell in row:
            data = cell.encode("latin-1")
            try:
                cells.append(data.decode())
            except UnicodeDecodeError as error:
                shown = _NoText(data.decode("utf-8", "backslashreplace"))
                shown.problem = _no_text(self.encoding, data[error.start])
                cells.append(shown)
        return cells


def header_of(data: bytes, delimiter: str) -> list[str]:
    """The columns that the first record names, without outer spaces; one without a name is `column N`.

    Raises:
        SourceError: the record is empty, or no UTF-8.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SourceError(
            f"the header is no UTF-8 (byte 0x{data[error.start]:02x}); "
            "declare the encoding of the file, or save it as UTF-8",
            argument="source",
        ) from error
    nothing: list[str] = []
    first = next(filter(None, csv_reader(io.StringIO(text, newline=""), delimiter)), nothing)
    return named(first)


def named(cells: Sequence[str]) -> list[str]:
    """The names in the cells of a header, without outer spaces; one without a name is `column N`.

    Raises:
        SourceError: none of them holds a name.
    """
    names = [name.strip() for name in cells]
    if not any(names):
        raise SourceError("the file has no header: its first line names no column", argument="source")
    return [name or f"column {position}" for position, name in enumerate(names, 1)]


def _decoded(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("latin-1"), False


def _plain(text: str) -> str | None:
    """Text whose every line is a record, and ends with LF; None for text of another kind."""
    if '"' in text or "\0" in text:
        return None
    if "\r" not in text:
        return text
    return text.replace("\r\n", "\n") if text.count("\r") == text.count("\r\n") else None


def _blocks(text: str) -> Iterator[tuple[str, int]]:
    """Some lines of a plain text at a time, and how many they are; the last one may have no line end."""
    begin = 0
    while begin < len(text):
        end = text.rfind("\n", begin, begin + _CHARS_AT_ONCE) + 1 or text.find("\n", begin) + 1 or len(text)
        lines = text[begin:end]
        yield lines, lines.count("\n") + (not lines.endswith("\n"))
        begin = end


def _columns(lines: str, count: int, delimiter: str, width: int) -> list[list[str]] | None:
    """The cells of plain lines by columns, without a step per row; None when a line is of another width.

    The line ends are made cells too: when each stands where it has to, so does everything else.
    """
    text = lines.replace("\n", f"{delimiter}\n{delimiter}")
    cells = text.split(delimiter)
    if lines.endswith("\n"):
        cells.pop()
    else:
        cells.append("\n")
    if len(cells) != count * (width + 1) or cells[width :: width + 1].count("\n") != count:
        return None
    columns = [cells[position :: width + 1] for position in range(width)]
    return None if width == 1 and "" in columns[0] else columns


def _sorted_out(
    first: int, found: Sequence[Sequence[str]], header: Sequence[str], names: Sequence[str]
) -> TableRows:
    numbers: list[int] = []
    cells: list[Sequence[str]] = []
    unfit: list[Unfit] = []
    for number, row in enumerate(found, first):
        if not row:
            continue
        problem = _problem(row, len(header))
        if problem is None:
            numbers.append(number)
            cells.append(row)
        else:
            unfit.append(Unfit(number, _labelled(row, header), problem))
    columns: Iterable[Sequence[str]] = zip(*cells, strict=True) if cells else [()] * len(names)
    return TableRows(numbers, header, dict(zip(names, columns, strict=True)), unfit)


def _problem(row: Sequence[str], width: int) -> str | None:
    for cell in row:
        if "\0" in cell:
            return _NUL
        if isinstance(cell, _NoText):
            return cell.problem
    if len(row) != width:
        return f"the row has {len(row):,} columns, the header {width:,}"
    return None


def _labelled(row: Sequence[str], header: Sequence[str]) -> dict[str, Any]:
    beyond = [f"column {position}" for position in range(len(header) + 1, len(row) + 1)]
    return dict(zip([*header, *beyond], map(str, row), strict=False))


class _NoText(str):
    """A cell that is no UTF-8: readable, and with what is wrong."""

    __slots__ = ("problem",)

    problem: str


def _no_text(encoding: str, byte: int) -> str:
    if encoding == UTF8:
        return f"the row is no UTF-8 (byte 0x{byte:02x})"
    return f"the row holds bytes that are no {encoding}"
