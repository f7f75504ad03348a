"""Rows as delimited text in UTF-8, by the rules of Python's `csv`: RFC 4180, and lenient where files are not.

Boundaries are found on bytes read as Latin-1: one character per byte, so that positions are offsets, bytes
that are no UTF-8 can't shift a boundary, and quotes, delimiters and line ends look the same in both. A slice
that is read again therefore has exactly the records that were counted.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from aiojobs_engine.bulk.sources.lines import RECORD_BYTES, LineBlocks, Window
from aiojobs_engine.bulk.sources.records import Piece, RawRows, Unfit
from aiojobs_engine.core.errors import SourceError

_TOO_LONG = f"the line is longer than {RECORD_BYTES:,} bytes"
_OPEN_QUOTE = "a quote is opened in this line and never closed"
_NUL = "the row holds a NUL character"


class Delimited(msgspec.Struct, frozen=True, tag="delimited"):
    """Delimited text: the header begins at byte `start`, the rows at `body`."""

    delimiter: str
    start: int
    body: int

    def header(self, file: BinaryIO) -> list[str]:
        """The names of the columns, in order, as `header_of` gives them."""
        file.seek(self.start)
        return header_of(file.read(self.body - self.start), self.delimiter)

    def scan(self, file: BinaryIO, mapping: Mapping[str, str], key: str | None) -> Iterator[Window]:
        """All records in order, with the values of the field `key`."""
        names = [mapping.get(column, column) for column in self.header(file)]
        position = names.index(key) if key in names else None
        return _Scan(LineBlocks(file, self.body), self.delimiter, position).windows()

    def read(self, file: BinaryIO, pieces: Iterable[Piece], mapping: Mapping[str, str]) -> RawRows:
        """The rows of `pieces`; those of another width than the header, or that are no text, are unfit."""
        header = self.header(file)
        names = [mapping.get(column, column) for column in header]
        rows = _Rows(header)
        for first, data in pieces:
            rows.take(data, self.delimiter, first)
        records: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows.cells]
        return RawRows(rows.numbers, records, rows.original, rows.unfit)


def header_of(data: bytes, delimiter: str) -> list[str]:
    """The columns that the first record names, without outer spaces; one without a name is `column N`.

    Raises:
        SourceError: the record is empty, or no UTF-8.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SourceError(
            f"the header is no UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8",
            argument="source",
        ) from error
    nothing: list[str] = []
    first = next(filter(None, csv_reader(io.StringIO(text, newline=""), delimiter)), nothing)
    names = [name.strip() for name in first]
    if not any(names):
        raise SourceError("the file has no header: its first line names no column", argument="source")
    return [name or f"column {position}" for position, name in enumerate(names, 1)]


def csv_reader(lines: Iterable[str], delimiter: str) -> "Iterator[list[str]]":
    """Records of `lines`, with cells as long as a record may be."""
    if csv.field_size_limit() < RECORD_BYTES:
        # the limit is the process's, and 128 KiB by default, which real cells pass; records are bounded here
        csv.field_size_limit(RECORD_BYTES)
    return csv.reader(lines, delimiter=delimiter)


class _Rows:
    """Collects the rows of spans, and parts the unfit records from them."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self.numbers: list[int] = []
        self.cells: list[list[str]] = []
        self.unfit: list[Unfit] = []

    def original(self, position: int) -> dict[str, Any]:
        return dict(zip(self._header, self.cells[position], strict=True))

    def take(self, data: bytes, delimiter: str, first: int) -> None:
        is_text = True
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
            is_text = False
        found = list(csv_reader(io.StringIO(text, newline=""), delimiter))
        if is_text and set(map(len, found)) <= {len(self._header)} and "\0" not in text:
            self.numbers += range(first, first + len(found))
            self.cells += found
            return
        for number, row in enumerate(found, first):
            if row:
                self._take_row(number, row if is_text else list(map(_bytes_as_text, row)))

    def _take_row(self, number: int, row: list[str]) -> None:
        problem = self._problem(row)
        if problem is None:
            self.numbers.append(number)
            self.cells.append(row)
        else:
            self.unfit.append(Unfit(number, self._labelled(row), problem))

    def _problem(self, row: Sequence[str]) -> str | None:
        for cell in row:
            if "\0" in cell:
                return _NUL
            if isinstance(cell, _NoText):
                return cell.problem
        if len(row) != len(self._header):
            return f"the row has {len(row):,} columns, the header {len(self._header):,}"
        return None

    def _labelled(self, row: Sequence[str]) -> dict[str, Any]:
        beyond = [f"column {position}" for position in range(len(self._header) + 1, len(row) + 1)]
        return dict(zip([*self._header, *beyond], map(str, row), strict=False))


class _NoText(str):
    """A cell that is no UTF-8: readable, and with what is wrong."""

    __slots__ = ("problem",)

    problem: str


def _bytes_as_text(cell: str) -> str:
    data = cell.encode("latin-1")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        shown = _NoText(data.decode("utf-8", "backslashreplace"))
        shown.problem = f"the row is no UTF-8 (byte 0x{data[error.start]:02x})"
        return shown


class _RecordTooLong(Exception):
    """A record grew beyond `RECORD_BYTES`."""


class _Scan:
    """Finds the records of a file.

    A block without quotes and odd line ends is split as bytes, all others go through `csv` itself, with a
    line source that knows where it is. A record that can't be read (a line too long, a quote that is never
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
            plain = self._plain(start, block)
            if plain is not None:
                yield plain
            else:
                yield from self._parsed(start, block)

    def _plain(self, start: int, block: bytes) -> Window | None:
        if b'"' in block or len(block) > RECORD_BYTES:
            return None
        returns = block.count(b"\r")
        if returns and returns != block.count(b"\r\n"):
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
        return Window(start, block, lengths, _blanks(lines, has_returns=bool(returns)), keys)

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
            for row in csv_reader(self._lines(), self._delimiter):
                if self._is_cut:
                    problem = _OPEN_QUOTE
                    break
                if not row:
                    blanks.append(len(lengths))
                lengths.append(self._at - self._begun)
                if self._key is not None:
                    keys.append(row[self._key].encode("latin-1") if len(row) > self._key else b"")
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
            yield self._skipped(problem)

    def _lines(self) -> Iterator[str]:
        block = self._taken[0]
        while block:
            for line in io.StringIO(block.decode("latin-1"), newline=""):
                self._at += len(line)
                if self._at - self._begun > RECORD_BYTES:
                    raise _RecordTooLong
                self._is_between = False
                yield line
            if self._is_between:
                return
            block = self._blocks.next_block()
            self._taken.append(block)
        self._is_cut = True

    def _skipped(self, problem: str) -> Window:
        offset = self._begun
        length = self._blocks.skip_line(offset)
        return Window(offset, b"", [length], unreadable=_TOO_LONG if length > RECORD_BYTES else problem)


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
