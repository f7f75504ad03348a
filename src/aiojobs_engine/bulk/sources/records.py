"""What every format gives: spans of records, and the rows that stand in them."""

from collections.abc import Callable, Container, Mapping, Sequence
from itertools import compress
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


class TableRows:
    """Some rows as they stand in a source whose records all have the same columns.

    Attributes:
        numbers: the row number of each record, rising.
        columns: the values of each column by the name of its field (its own name, where there is no such
            field).
        unfit: records that make no row, in order.
    """

    __slots__ = ("_header", "columns", "numbers", "unfit")

    def __init__(
        self,
        numbers: Sequence[int],
        header: Sequence[str],
        columns: Mapping[str, Sequence[str]],
        unfit: Sequence[Unfit] = (),
    ) -> None:
        """Hold `columns`, which the source calls `header`."""
        self.numbers = numbers
        self.columns = columns
        self.unfit = unfit
        self._header = header

    def record(self, position: int) -> dict[str, Any]:
        """The record at a position by the names of fields."""
        return {name: values[position] for name, values in self.columns.items()}

    def original(self, position: int) -> dict[str, Any]:
        """The same by the source's own columns, for people to mend."""
        values = (values[position] for values in self.columns.values())
        return dict(zip(self._header, values, strict=True))

    def without(self, skipped: Container[int]) -> "TableRows":
        """All but the rows of these numbers."""
        kept = [number not in skipped for number in self.numbers]
        columns = {name: list(compress(values, kept)) for name, values in self.columns.items()}
        numbers = list(compress(self.numbers, kept))
        return TableRows(numbers, self._header, columns, _unfit_without(self.unfit, skipped))

    def without_columns(self, names: Container[str], read: Callable[[str], str]) -> "TableRows":
        """All but the columns of these names, each value as `read` gives it."""
        header = [own for own, name in zip(self._header, self.columns, strict=True) if name not in names]
        columns = {
            name: list(map(read, values)) for name, values in self.columns.items() if name not in names
        }
        return TableRows(self.numbers, header, columns, _unfit_without_columns(self.unfit, names))


class RecordRows:
    """Some rows as they stand in a source whose records name their own columns.

    Attributes:
        numbers, unfit: as in `TableRows`.
    """

    __slots__ = ("_mapping", "_originals", "numbers", "unfit")

    def __init__(
        self,
        numbers: Sequence[int],
        originals: Sequence[dict[str, Any]],
        mapping: Mapping[str, str],
        unfit: Sequence[Unfit] = (),
    ) -> None:
        """Hold `originals`, whose names `mapping` leads to fields."""
        self.numbers = numbers
        self.unfit = unfit
        self._originals = originals
        self._mapping = mapping

    def records(self) -> list[dict[str, Any]]:
        """All records by the names of fields; they belong to the caller."""
        if not self._mapping:
            return [record.copy() for record in self._originals]
        renamed = self._mapping.get
        return [{renamed(name, name): value for name, value in record.items()} for record in self._originals]

    def record(self, position: int) -> dict[str, Any]:
        """The record at a position by the names of fields."""
        renamed = self._mapping.get
        return {renamed(name, name): value for name, value in self._originals[position].items()}

    def original(self, position: int) -> dict[str, Any]:
        """The same by the source's own columns, for people to mend."""
        return self._originals[position]

    def without(self, skipped: Container[int]) -> "RecordRows":
        """All but the rows of these numbers."""
        kept = [number not in skipped for number in self.numbers]
        return RecordRows(
            list(compress(self.numbers, kept)),
            list(compress(self._originals, kept)),
            self._mapping,
            _unfit_without(self.unfit, skipped),
        )

    def without_columns(self, names: Container[str]) -> "RecordRows":
        """All rows without what stands under these names."""
        originals = [_without_columns(record, names) for record in self._originals]
        return RecordRows(self.numbers, originals, self._mapping, _unfit_without_columns(self.unfit, names))


RawRows = TableRows | RecordRows


def _unfit_without(unfit: Sequence[Unfit], skipped: Container[int]) -> list[Unfit]:
    return [one for one in unfit if one.number not in skipped]


def _unfit_without_columns(unfit: Sequence[Unfit], names: Container[str]) -> list[Unfit]:
    return [Unfit(one.number, _without_columns(one.payload, names), one.message) for one in unfit]


def _without_columns(record: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def bounded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """`payload` as it may be stored: texts that are over 16,384 characters together are cut in the middle."""
    texts = [value for value in payload.values() if isinstance(value, str)]
    if sum(map(len, texts)) <= _PAYLOAD_CHARS:
        return dict(payload)
    return {
        name: shortened(value, _CELL_CHARS) if isinstance(value, str) else value
        for name, value in payload.items()
    }
