"""Where the records of delimited text begin and end, found without decoding them."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from aiojobs_engine.bulk.sources.lines import RECORD_BYTES, LineBlocks, Window

_OPEN_QUOTE = "a quote is opened in this line and never closed"
_SPARSE = 8  # with quotes in more than every eighth line, reading all by `csv` is faster than splitting


def csv_reader(
    lines: Iterable[str], delimiter: str, record_bytes: int = RECORD_BYTES
) -> "Iterator[list[str]]":
    """Records of `lines`, with cells as long as a record may be."""
    if csv.field_size_limit() < record_bytes:
        # the limit is the process's, and 128 KiB by default, which real cells pass; records are bounded here
        csv.field_size_limit(record_bytes)
    return csv.reader(lines, delimiter=delimiter)


class _RecordTooLong(Exception):
    """A record grew beyond what a row may have."""


class DelimitedScan:
    """Finds the records of a file.

    A block with few quotes and no odd line ends is split as bytes, all others go through `csv` itself, with
    a line source that knows where it is. A record that can't be read (a line too long, a quote that is never
    closed) costs its first line; what follows is read on.
    """

    def __init__(self, blocks: LineBlocks, delimiter: str, key: int | None) -> None:
        """Read `blocks`, and the cells at position `key` too."""
        self._blocks = blocks
        self._delimiter = delimiter
        self._key = key
        self._taken: list[bytes] = []  # the blocks of the window that is being made
        self._at = 0  # where the lines given to `csv` end
        self._begun = 0  # where the record under way begins
        self._is_between = True  # `csv` asks for the first line of a record
        self._is_cut = False  # the file ended inside of a record

    def windows(self) -> Iterator[Window]:
        """All records in order, a block or more at a time."""
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
