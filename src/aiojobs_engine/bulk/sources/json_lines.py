"""Rows as JSON objects, one a line: files of users, and what all sources with typed values are stored as."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from aiojobs_engine.bulk.sources.lines import RECORD_BYTES, LineBlocks, Window
from aiojobs_engine.bulk.sources.records import Piece, RecordRows, Unfit

_NO_KEY = (b"", b"null", b'""')
_SHOWN = 1000

_rows = msgspec.json.Decoder(list[dict[str, Any]])
_row = msgspec.json.Decoder(dict[str, Any])


class JsonLines(msgspec.Struct, frozen=True, tag="json_lines", omit_defaults=True):
    """JSON objects in UTF-8, one a line, from byte `start` on; none is longer than `record_bytes`."""

    start: int = 0
    record_bytes: int = RECORD_BYTES

    def scan(self, file: BinaryIO, mapping: Mapping[str, str], key: str | None) -> Iterator[Window]:
        """All records in order, with the values of the field `key`."""
        keys_of = None if key is None else _Keys(key, mapping)
        blocks = LineBlocks(file, self.start, self.record_bytes)
        for block in blocks:
            offset = blocks.offset - len(block)
            if len(block) > self.record_bytes:
                yield from self._long_block(blocks, offset, block, keys_of)
            else:
                yield _window(offset, block, keys_of)

    def _long_block(
        self, blocks: LineBlocks, offset: int, block: bytes, keys_of: "_Keys | None"
    ) -> Iterator[Window]:
        """The lines of a block that may hold one too long; the next block begins after them."""
        for line in block.split(b"\n")[:-1]:
            if len(line) >= self.record_bytes:
                break
            yield _window(offset, line + b"\n", keys_of)
            offset += len(line) + 1
        else:
            if offset == blocks.offset:
                return
        window = blocks.unreadable(offset, "the line is no JSON object")
        yield window
        blocks.seek(offset + window.lengths[0])

    def read(
        self, file: BinaryIO, pieces: Iterable[Piece], mapping: Mapping[str, str]
    ) -> Iterator[RecordRows]:
        """The rows of `pieces`, a piece at a time; lines that are no JSON object are unfit."""
        del file
        for first, data in pieces:
            lines = data.split(b"\n")
            if not lines[-1]:
                del lines[-1]
            try:
                originals = _rows.decode(_as_list(lines))
            except (msgspec.DecodeError, UnicodeDecodeError):
                originals = []
            if len(originals) == len(lines):
                yield RecordRows(range(first, first + len(originals)), originals, mapping)
            else:
                yield _sorted_out(first, lines, mapping)


def columns_of(head: bytes) -> list[str]:
    """The names that the whole lines of `head` use, in the order of their first use."""
    names: dict[str, None] = {}
    for line in head.split(b"\n"):
        try:
            names |= dict.fromkeys(_row.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return list(names)


def _sorted_out(first: int, lines: list[bytes], mapping: Mapping[str, str]) -> RecordRows:
    numbers: list[int] = []
    originals: list[dict[str, Any]] = []
    unfit: list[Unfit] = []
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            originals.append(_row.decode(line))
            numbers.append(number)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            shown = line[:_SHOWN].decode("utf-8", "backslashreplace")
            unfit.append(Unfit(number, {"line": shown}, f"the line is no JSON object: {error}"))
    return RecordRows(numbers, originals, mapping, unfit)


def _window(offset: int, block: bytes, keys_of: "_Keys | None") -> Window:
    lines = block.split(b"\n")
    lengths = [len(line) + 1 for line in lines]
    if lines[-1]:
        lengths[-1] -= 1
    else:
        del lines[-1], lengths[-1]
    blanks = frozenset(position for position, line in enumerate(lines) if not line.strip())
    return Window(offset, block, lengths, blanks, None if keys_of is None else keys_of(lines))


class _Keys:
    """Finds the keys of rows; decodes nothing of a row but the columns that the key may stand in."""

    def __init__(self, key: str, mapping: Mapping[str, str]) -> None:
        columns = [column for column, field in mapping.items() if field == key]
        if key not in mapping:
            columns.append(key)
        names = {f"column_{position}": column for position, column in enumerate(columns)}
        fields = [(name, msgspec.Raw, msgspec.Raw()) for name in names]
        found = msgspec.defstruct("_KeyOnly", fields, rename=names)
        self._rows: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[found])  # type: ignore[valid-type]
        self._row: msgspec.json.Decoder[Any] = msgspec.json.Decoder(found)

    def __call__(self, lines: Sequence[bytes]) -> list[bytes]:
        """The key of each line as it is written, empty where there is none."""
        try:
            rows = self._rows.decode(_as_list(lines))
        except msgspec.DecodeError:
            rows = []
        if len(rows) == len(lines):
            return [_written(row) for row in rows]
        return [self._of_one(line) for line in lines]

    def _of_one(self, line: bytes) -> bytes:
        try:
            return _written(self._row.decode(line))
        except msgspec.DecodeError:
            return b""


def _written(row: Any) -> bytes:
    values = (bytes(value) for value in msgspec.structs.astuple(row))
    return next((value for value in values if value not in _NO_KEY), b"")


def _as_list(lines: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(lines) + b"]"
