"""Rows as JSON objects, one a line: what iterables of mappings are stored as."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from aiojobs_engine.bulk.sources.lines import LineBlocks, Window
from aiojobs_engine.bulk.sources.records import Piece, RawRows

_NO_KEY = (b"", b"null", b'""')

_rows = msgspec.json.Decoder(list[dict[str, Any]])


class JsonLines(msgspec.Struct, frozen=True, tag="json_lines"):
    """JSON objects in UTF-8, one a line, none longer than a record may be; written by the engine itself."""

    def header(self, file: BinaryIO) -> list[str] | None:
        """None: each row names its own columns."""
        del file
        return None

    def scan(self, file: BinaryIO, mapping: Mapping[str, str], key: str | None) -> Iterator[Window]:
        """All records in order, with the values of the field `key`."""
        decoder = None if key is None else _key_decoder(key, mapping)
        blocks = LineBlocks(file, 0)
        for block in blocks:
            lines = block.splitlines()
            keys = None if decoder is None else _keys(decoder, lines)
            yield Window(blocks.offset - len(block), block, [len(line) + 1 for line in lines], keys=keys)

    def read(self, file: BinaryIO, pieces: Iterable[Piece], mapping: Mapping[str, str]) -> Iterator[RawRows]:
        """The rows of `pieces`, a piece at a time."""
        del file
        for first, data in pieces:
            originals = _rows.decode(_as_list(data.splitlines()))
            numbers = range(first, first + len(originals))
            renamed = [{mapping.get(name, name): value for name, value in row.items()} for row in originals]
            yield RawRows(numbers, renamed, originals.__getitem__, ())


def _key_decoder(key: str, mapping: Mapping[str, str]) -> msgspec.json.Decoder[list[Any]]:
    """Decodes nothing of a row but the columns that the key may stand in, as they are written."""
    columns = [column for column, field in mapping.items() if field == key]
    if key not in mapping:
        columns.append(key)
    names = {f"column_{position}": column for position, column in enumerate(columns)}
    fields = [(name, msgspec.Raw, msgspec.Raw()) for name in names]
    found = msgspec.defstruct("_KeyOnly", fields, rename=names)
    return msgspec.json.Decoder(list[found])  # type: ignore[valid-type]


def _keys(decoder: msgspec.json.Decoder[list[Any]], lines: Sequence[bytes]) -> list[bytes]:
    keys: list[bytes] = []
    for row in decoder.decode(_as_list(lines)):
        written = (bytes(value) for value in msgspec.structs.astuple(row))
        keys.append(next((value for value in written if value not in _NO_KEY), b""))
    return keys


def _as_list(lines: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(lines) + b"]"
