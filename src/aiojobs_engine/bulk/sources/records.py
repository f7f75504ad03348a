"""What every format gives: spans of records, and the rows that stand in them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiojobs_engine.core.limits import shortened

_PAYLOAD_CHARS = 16 * 1024
_CELL_CHARS = 1000


class Span(NamedTuple):
    """A stretch of whole records: `length` bytes from `offset`, the first of them row number `first`."""

    offset: int
    length: int
    first: int
    records: int


class Piece(NamedTuple):
    """The bytes of a span, and the row number of its first record."""

    first: int
    data: bytes


class Unfit(NamedTuple):
    """A record that makes no row: its number, what stands there, and why."""

    number: int
    payload: dict[str, Any]
    message: str


class RawRows(NamedTuple):
    """Some rows as they stand in the source.

    Attributes:
        numbers: the row number of each record, rising.
        records: field names of the row type (columns, where it has no such field) to values.
        original: the record at a position by the source's own columns, for people to mend.
        unfit: records that make no row, in order.
    """

    numbers: Sequence[int]
    records: list[dict[str, Any]]
    original: Callable[[int], dict[str, Any]]
    unfit: Sequence[Unfit]


def bounded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """`payload` as it may be stored: texts that are over 16,384 characters together are cut in the middle."""
    texts = [value for value in payload.values() if isinstance(value, str)]
    if sum(map(len, texts)) <= _PAYLOAD_CHARS:
        return dict(payload)
    return {
        name: shortened(value, _CELL_CHARS) if isinstance(value, str) else value
        for name, value in payload.items()
    }
