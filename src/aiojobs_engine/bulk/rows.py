"""From records to rows: columns checked once, records converted together, and what is wrong with the others.

Cells of text files are converted leniently ("42" is an int where one is wanted), and nothing is guessed:
text keeps its leading zeros, an instant must be written as ISO 8601. An empty cell is an empty text; only
where the type takes None and no text does it become None.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Generic

from aiojobs_engine.bulk.failure_file import MARKS
from aiojobs_engine.bulk.row_types import Fault, RowT, row_type, shown, worded
from aiojobs_engine.core.errors import ConfigError, SourceError, did_you_mean

_COLUMNS_SHOWN = 20
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_INSTANT = "Expected an instant as ISO 8601, like 2026-01-31T12:00:00Z"


class RowModel(Generic[RowT]):
    """A row type, ready to check columns and convert records.

    Attributes:
        key: the field that tells rows apart, None without.
    """

    def __init__(self, row: type[RowT], key: str | None, owner: str) -> None:
        """Compile the row type.

        Raises:
            ConfigError: `row` is no row type, or has no field `key`; `owner` says whose row type it is.
        """
        self._type = row_type(row, owner)
        self.key = key
        fields = self._type.fields
        if key is not None and not self._type.is_open and key not in fields:
            raise ConfigError(f"{owner}: key={key!r} is no field of its row type{did_you_mean(key, fields)}")
        self._nullable = [field.name for field in fields.values() if field.empty_is_none]
        self._instants = [field.name for field in fields.values() if field.is_instant]

    @property
    def fields(self) -> Iterable[str]:
        """The names of the fields, as columns have them; none for an open type."""
        return self._type.fields

    def check(self, mapping: Mapping[str, str], columns: Sequence[str] | None) -> None:
        """Nothing, when rows with `columns` (None when they are not known), renamed by `mapping`, can fit.

        Raises:
            SourceError: they can't; see `check_mapping` and `check_columns`.
        """
        self.check_mapping(mapping, columns)
        if columns is not None:
            self.check_columns(columns, mapping)

    def check_mapping(self, mapping: Mapping[str, str], columns: Sequence[str] | None) -> None:
        """Nothing, when each entry leads from a column of the source to a field of its own.

        Args:
            columns: those of the source, None when they are not known.

        Raises:
            SourceError: one doesn't, or two columns lead to one field.
        """
        fields = self._type.fields
        for column, field in mapping.items():
            if not self._type.is_open and field not in fields:
                raise SourceError(
                    f"mapping leads to {field!r}, no field of the row type{did_you_mean(field, fields)}",
                    argument="mapping",
                )
            if columns is not None and column not in columns:
                raise SourceError(
                    f"mapping names {column!r}, no column of the source{did_you_mean(column, columns)}",
                    argument="mapping",
                )
        names = [mapping.get(column, column) for column in columns or mapping]
        for name in mapping.values():
            if names.count(name) > 1:
                raise SourceError(
                    f"two columns lead to the field {name!r}; map the other one to another name",
                    argument="mapping",
                )

    def check_columns(self, columns: Sequence[str], mapping: Mapping[str, str]) -> None:
        """Nothing, when `columns`, renamed by `mapping`, hold every required field and the key.

        Raises:
            SourceError: one is missing, or a column is there that the row type forbids.
        """
        names = [mapping.get(column, column) for column in columns]
        needed = {field.name for field in self._type.fields.values() if field.is_required}
        if self.key is not None:
            needed.add(self.key)
        missing = sorted(needed.difference(names))
        if missing:
            raise SourceError(_missing(missing, columns), argument="source")
        marks = MARKS if set(names).issuperset(MARKS) else ()
        others = sorted(set(names).difference(self._type.fields, marks))
        if self._type.forbids_others and others:
            raise SourceError(
                f"the row type has no fields for the columns {', '.join(map(repr, others[:_COLUMNS_SHOWN]))}",
                argument="source",
            )

    def convert(self, records: Sequence[dict[str, Any]]) -> tuple[list[RowT], dict[int, Fault]]:
        """The rows of all records that fit, in order, and by position what is wrong with the others."""
        self._empty_to_none(records)
        faults = self._numbers_as_instants(records)
        if not faults:
            try:
                return list(self._type.convert(records)), faults
            except Exception:  # noqa: BLE001 - the row type's own checks may raise anything; each row shows its own
                faults = {}
        rows: list[RowT] = []
        for position, record in enumerate(records):
            if position not in faults:
                try:
                    rows += self._type.convert([record])
                except Exception as error:  # noqa: BLE001 - the same
                    faults[position] = self._fault(record, error)
        return rows, faults

    def complete_dates(self, records: Sequence[dict[str, Any]]) -> None:
        """Make a date alone midnight where an instant is wanted: a workbook has no other way to say that."""
        for name in self._instants:
            for record in records:
                value = record.get(name)
                if isinstance(value, str) and _DATE.fullmatch(value):
                    record[name] = f"{value}T00:00:00"

    def key_of(self, record: Mapping[str, Any]) -> str | None:
        """The value of the key as text, None without one."""
        value = None if self.key is None else record.get(self.key)
        return None if value is None else str(value)

    def _empty_to_none(self, records: Sequence[dict[str, Any]]) -> None:
        for name in self._nullable:
            for record in records:
                if record.get(name) == "":
                    record[name] = None

    def _numbers_as_instants(self, records: Sequence[dict[str, Any]]) -> dict[int, Fault]:
        faults: dict[int, Fault] = {}
        for name in self._instants:
            for position, record in enumerate(records):
                value = record.get(name)
                if value is not None and not (isinstance(value, str) and ":" in value):
                    faults.setdefault(position, Fault(name, f"{_NO_INSTANT}, got {shown(value)}"))
        return faults

    def _fault(self, record: Mapping[str, Any], error: Exception) -> Fault:
        faults = self._type.problems(record)
        if not faults:
            return Fault(None, worded(error))
        if len(faults) == 1:
            return faults[0]
        return Fault(faults[0].field, "; ".join(f"{fault.field}: {fault.message}" for fault in faults))


def _missing(missing: Sequence[str], columns: Sequence[str]) -> str:
    by_word = {_word(column): column for column in columns}
    near = {name: by_word.get(_word(name)) or _nearest(name, by_word) for name in missing}
    hints = [f"{column!r}: {name!r}" for name, column in near.items() if column is not None]
    hint = f"; did you mean mapping={{{', '.join(hints)}}}?" if hints else ""
    cut = " ..." if len(columns) > _COLUMNS_SHOWN else ""
    return (
        f"the source has no column for {', '.join(map(repr, missing))}; "
        f"its columns are {', '.join(map(repr, columns[:_COLUMNS_SHOWN]))}{cut}{hint}"
    )


def _nearest(name: str, by_word: Mapping[str, str]) -> str | None:
    found = get_close_matches(_word(name), list(by_word), n=1)
    return by_word[found[0]] if found else None


def _word(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
