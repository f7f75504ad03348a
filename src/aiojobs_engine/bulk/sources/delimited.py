"""Rows as delimited text in UTF-8, by the rules of Python's `csv`: RFC 4180, and lenient where files are not.

Boundaries are found on bytes read as Latin-1: one character per byte, so that positions are offsets, bytes
that are no UTF-8 can't shift a boundary, and quotes, delimiters and line ends look the same in both. A slice
that is read again therefore has exactly the records that were counted.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from aiojobs_engine.bulk.sources.encoding import UTF8
from aiojobs_engine.bulk.sources.lines import RECORD_BYTES, LineBlocks, Window
from aiojobs_engine.bulk.sources.records import Piece, RawRows, Unfit
from aiojobs_engine.core.errors import SourceError

_OPEN_QUOTE = "a quote is opened in this line and never closed"
_ROWS_AT_ONCE = 200  # so few that they stay in the caches, and give the garbage collector little to walk
_SPARSE = 8  # with quotes in more than every eighth line, reading all by `csv` is faster than splitting
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
        return _Scan(LineBlocks(file, self.body, self.record_bytes), self.delimiter, position).windows()

    def read(self, file: BinaryIO, pieces: Iterable[Piece], mapping: Mapping[str, str]) -> Iterator[RawRows]:
        """The rows of `pieces`, some at a time; those of another width, or that are no text, are unfit."""
        header = self.header(file)
        names = [mapping.get(column, column) for column in header]
        for first, data in pieces:
            text, is_text = _decoded(data)
            is_plain = is_text and "\0" not in text
            records = csv_reader(io.StringIO(text, newline=""), self.delimiter, self.record_bytes)
            number = first
            while found := list(islice(records, _ROWS_AT_ONCE)):
                if is_plain and set(map(len, found)) == {len(header)}:
                    yield _rows(range(number, number + len(found)), found, header, names)
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


def csv_reader(
    lines: Iterable[str], delimiter: str, record_bytes: int = RECORD_BYTES
) -> "Iterator[list[str]]":
    """Records of `lines`, with cells as long as a record may be."""
    if csv.field_size_limit() < record_bytes:
        # the limit is the process's, and 128 KiB by default, which real cells pass; records are bounded here
        csv.field_size_limit(record_bytes)
    return csv.reader(lines, delimiter=delimiter)


def _decoded(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("latin-1"), False


def _rows(
    numbers: Sequence[int],
    cells: Sequence[Sequence[str]],
    header: Sequence[str],
    names: Sequence[str],
    unfit: Sequence[Unfit] = (),
) -> RawRows:
    records: list[dict[str, Any]] = [dict(zip(names, row)) for row in cells]  # noqa: B905 - rows were measured

    def original(position: int) -> dict[str, Any]:
        return dict(zip(header, cells[position], strict=True))

    return RawRows(numbers, records, original, unfit)


def _sorted_out(
    first: int, found: Sequence[Sequence[str]], header: Sequence[str], names: Sequence[str]
) -> RawRows:
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
    return _rows(numbers, cells, header, names, unfit)


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


class _RecordTooLong(Exception):
    """A record grew beyond what a row may have."""


class _Scan:
    """Finds the records of a file.

    A block with few quotes and no odd line ends is split as bytes, all others go through `csv` itself, with
    a line source that knows where it is. A record that can't be read (a line too long, a quote that is never
    closed) costs its first line; what follows is read on.
    """

    def __init__(self, blocks: LineBlocks, delimiter: str, key: int | None) -> None:
        self._blocks = blocks
        self._delimiter = delimiter
        self._key = key
        self._taken: list[bytes] = []  # the blocks of the window that is being made
        self._at = 0  # where the lines given to `csv` end
        self._begun = 0  # where the record under way begins
        self._is_between = True  # `csv` asks for the first line of a record
        self._is_cut = False  # the file ended inside of a record

    def windows(self) -> Iterator[Window]:
        for block in self._blocks:
            start = self._blocks.offset - len(block)
            split = self._split(start, block)
            if split is not None:
                yield split
            else:
                yield from self._parsed(start, block)

    def _split(self, start: int, block: bytes) -> Window | None:
        """The records of a block with few quotes or none, split at its line ends; None for other blocks."""
        returns = block.count(b"\r")
        if len(block) > self._blocks.record_bytes or (returns and returns != block.count(b"\r\n")):
            return None
        lines = block.split(b"\n")
        lengths = [length + 1 for length in map(len, lines)]
        if lines[-1]:
            lengths[-1] -= 1
        else:
            del lines[-1], lengths[-1]
        keys = None
        if self._key is not None:
            keys = _keys(lines, self._delimiter.encode(), self._key, has_returns=bool(returns))
        quoted = [at for at, line in enumerate(lines) if b'"' in line] if b'"' in block else []
        if len(quoted) * _SPARSE > len(lines) or not self._joined(lines, lengths, keys, quoted):
            return None
        return Window(start, block, lengths, _blanks(lines, has_returns=bool(returns)), keys)

    def _joined(
        self, lines: list[bytes], lengths: list[int], keys: list[bytes] | None, quoted: Sequence[int]
    ) -> bool:
        """Read records with quotes by `csv`, and join their lines; False when one goes on after them."""
        gone: list[int] = []
        for at in quoted:
            if gone and at <= gone[-1]:
                continue
            record = _Record(lines, at)
            try:
                row = next(csv_reader(record.lines(), self._delimiter, self._blocks.record_bytes))
            except csv.Error:
                return False
            if record.is_cut:
                return False
            if keys is not None and self._key is not None:
                keys[at] = _cell(row, self._key)
            if record.end > at + 1:
                lengths[at] = sum(lengths[at : record.end])
                gone += range(at + 1, record.end)
        for position in reversed(gone):
            del lines[position], lengths[position]
            if keys is not None:
                del keys[position]
        return True

    def _parsed(self, start: int, block: bytes) -> Iterator[Window]:
        """Windows from `start` to the end of a record at or after the end of `block`."""
        lengths: list[int] = []
        blanks: list[int] = []
        keys: list[bytes] = []
        self._taken = [block]
        self._at = self._begun = start
        self._is_between, self._is_cut = True, False
        problem = None
        try:
            for row in csv_reader(self._lines(), self._delimiter, self._blocks.record_bytes):
                if self._is_cut:
                    problem = _OPEN_QUOTE
                    break
                if not row:
                    blanks.append(len(lengths))
                lengths.append(self._at - self._begun)
                if self._key is not None:
                    keys.append(_cell(row, self._key))
                self._begun = self._at
                self._is_between = True
        except _RecordTooLong:
            problem = _OPEN_QUOTE
        except csv.Error as error:
            problem = str(error)
        data = b"".join(self._taken)
        if lengths:
            yield Window(
                start,
                data[: self._begun - start],
                lengths,
                frozenset(blanks),
                None if self._key is None else keys,
            )
        if problem is not None:
            yield self._blocks.unreadable(self._begun, problem)

    def _lines(self) -> Iterator[str]:
        block = self._taken[0]
        while block:
            for line in io.StringIO(block.decode("latin-1"), newline=""):
                self._at += len(line)
                if self._at - self._begun > self._blocks.record_bytes:
                    raise _RecordTooLong
                self._is_between = False
                yield line
            if self._is_between:
                return
            block = self._blocks.next_block()
            self._taken.append(block)
        self._is_cut = True


class _Record:
    """Lines for `csv` from one of many on, and how many of them a record took."""

    def __init__(self, lines: Sequence[bytes], at: int) -> None:
        self._lines = lines
        self.end = at
        self.is_cut = False

    def lines(self) -> Iterator[str]:
        while self.end < len(self._lines):
            self.end += 1
            yield self._lines[self.end - 1].decode("latin-1") + "\n"
        self.is_cut = True


def _cell(row: Sequence[str], position: int) -> bytes:
    return row[position].encode("latin-1") if len(row) > position else b""


def _blanks(lines: list[bytes], *, has_returns: bool) -> frozenset[int]:
    if b"" not in lines and not (has_returns and b"\r" in lines):
        return frozenset()
    return frozenset(position for position, line in enumerate(lines) if line in (b"", b"\r"))


def _keys(lines: list[bytes], delimiter: bytes, position: int, *, has_returns: bool) -> list[bytes]:
    if has_returns:
        lines = [line.rstrip(b"\r") for line in lines]
    try:
        return [line.split(delimiter, position + 1)[position] for line in lines]
    except IndexError:
        return [(line.split(delimiter, position + 1) + [b""] * (position + 1))[position] for line in lines]
