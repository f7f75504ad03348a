"""Parquet: columns with types of their own, found in the values."""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

from aiojobs_engine.bulk.columns import Cells, Columns
from aiojobs_engine.bulk.sinks.pages import encode_page, pages
from aiojobs_engine.bulk.sinks.sink import Encoded
from aiojobs_engine.core.errors import ConfigError

_GROUP = 50_000
_BLOCK = 1024 * 1024
_LARGEST = 2**63


class Parquet:
    """Rows as typed columns: int64, double, bool, string, date, timestamp with or without zone.

    A column whose values are of several types is text; whole numbers beside fractions are doubles, and
    decimal numbers are text, digit by digit.
    """

    def __init__(self, columns: Columns) -> None:
        """Name the columns by the labels of `columns`.

        Raises:
            ConfigError: the extra `parquet` is not installed.
        """
        _arrow()
        self._labels = columns.labels

    def encode(self, cells: list[Cells], first: int) -> bytes:
        """A page of rows.

        Raises:
            ExportError: a value can't be written; the error names its row.
        """
        return encode_page(cells, first)

    def blocks(self, encoded: Encoded) -> Iterator[bytes]:
        """The whole file: one pass finds the types, another one writes."""
        arrow = _arrow()
        kinds: list[set[str]] = [set() for _ in self._labels]
        for page in pages(encoded):
            for found, column in zip(kinds, zip(*page, strict=True), strict=True):
                found.update(map(_kind, column))
            yield b""
        types = [_type_name(found) for found in kinds]
        fields = [
            arrow.field(label, _arrow_type(arrow, kind))
            for label, kind in zip(self._labels, types, strict=True)
        ]
        schema = arrow.schema(fields)
        with tempfile.TemporaryFile(prefix="aiojobs-") as file:
            yield from _written(arrow, file, schema, types, encoded)
            file.seek(0)
            while block := file.read(_BLOCK):
                yield block


def _written(arrow: Any, file: Any, schema: Any, types: Sequence[str], encoded: Encoded) -> Iterator[bytes]:
    parquet = import_module("pyarrow.parquet")
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[list[Any]] = []
        for page in pages(encoded):
            waiting += page
            if len(waiting) >= _GROUP:
                writer.write_table(_table(arrow, schema, types, waiting))
                waiting = []
            yield b""
        if waiting:
            writer.write_table(_table(arrow, schema, types, waiting))


def _table(arrow: Any, schema: Any, types: Sequence[str], rows: list[list[Any]]) -> Any:
    columns = zip(*rows, strict=True)
    arrays = [
        arrow.array([_converted(value, kind) for value in column], field.type)
        for column, kind, field in zip(columns, types, schema, strict=True)
    ]
    return arrow.Table.from_arrays(arrays, schema=schema)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "bool"
        case int():
            return "int" if -_LARGEST <= value < _LARGEST else "text"
        case float():
            return "float"
        case datetime():
            return "local" if value.tzinfo is None else "instant"
        case date():
            return "date"
        case _:
            return "text"


def _type_name(kinds: set[str]) -> str:
    found = kinds - {"none"}
    if found == {"int", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "text"


def _arrow_type(arrow: Any, kind: str) -> Any:
    return {
        "bool": arrow.bool_(),
        "int": arrow.int64(),
        "float": arrow.float64(),
        "date": arrow.date32(),
        "local": arrow.timestamp("us"),
        "instant": arrow.timestamp("us", "UTC"),
        "text": arrow.string(),
    }[kind]


def _converted(value: Any, kind: str) -> Any:
    if value is None:
        return None
    match kind:
        case "text":
            return value.isoformat() if isinstance(value, date) else _as_text(value)
        case "float":
            return float(value)
        case "instant":
            return value.astimezone(UTC)
        case _:
            return value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _arrow() -> Any:
    try:
        return import_module("pyarrow")
    except ImportError:
        raise ConfigError(
            "a .parquet file needs the extra 'parquet': pip install 'aiojobs-engine[parquet]'"
        ) from None
