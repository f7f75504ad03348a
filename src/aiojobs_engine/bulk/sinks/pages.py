"""Rows on their way into a form that has a beginning and an end of its own: pages that can be read again."""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import msgspec

from aiojobs_engine.bulk.columns import Cells, plain
from aiojobs_engine.bulk.sinks.sink import Encoded, row_of_fault
from aiojobs_engine.core.errors import ExportError

_PREFIX = 4
_DATED = frozenset({datetime, date, Decimal})
_SIMPLE = frozenset({str, int, float, bool, type(None), *_DATED})
_encoder = msgspec.msgpack.Encoder(enc_hook=plain)
_decoder = msgspec.msgpack.Decoder(list[list[Any]])


class Dated(msgspec.Struct, frozen=True, array_like=True):
    """A date, an instant or a decimal number beside values that need no mark."""

    kind: str
    text: str


def encode_page(cells: list[Cells], first: int) -> bytes:
    """A page of rows behind its length.

    Raises:
        ExportError: a value can't be written; the error names its row.
    """
    try:
        body = _encoder.encode(_marked(cells))
    except Exception as error:  # a class of the user may raise anything
        number, reason = row_of_fault(cells, first, lambda row: _encoder.encode(_marked([row])))
        raise ExportError(f"row {number:,} can't be written: {reason}") from error
    return len(body).to_bytes(_PREFIX, "big") + body


def pages(encoded: Encoded) -> Iterator[list[list[Any]]]:
    """The pages as they were: numbers, texts, truths, None, dates, instants, decimal numbers."""
    waiting = bytearray()
    for block in encoded():
        waiting += block
        while len(waiting) >= _PREFIX:
            end = _PREFIX + int.from_bytes(waiting[:_PREFIX], "big")
            if len(waiting) < end:
                break
            yield [[_unmarked(value) for value in row] for row in _decoder.decode(waiting[_PREFIX:end])]
            del waiting[:end]


def _marked(cells: list[Cells]) -> list[list[Any]]:
    return [[value if type(value) in _SIMPLE - _DATED else _mark(value) for value in row] for row in cells]


def _mark(value: Any) -> Any:
    match value:
        case Enum():
            return _mark(value.value)
        case datetime():
            return Dated("instant", value.isoformat())
        case date():
            return Dated("date", value.isoformat())
        case time():
            return value.isoformat()
        case Decimal():
            return Dated("decimal", str(value))
        case bool() | str() | int() | float() | None:
            return value
        case _:
            found = plain(value)
            return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def _unmarked(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, text = cast("list[str]", value)
    match kind:
        case "instant":
            return datetime.fromisoformat(text)
        case "date":
            return date.fromisoformat(text)
        case _:
            return Decimal(text)
