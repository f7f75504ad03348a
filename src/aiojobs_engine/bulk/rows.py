"""From records to rows: columns checked once, records converted together, and what is wrong with the others.

Cells of text files are converted leniently ("42" is an int where one is wanted), and nothing is guessed:
text keeps its leading zeros, an instant must be written as ISO 8601. An empty cell is an empty text; only
where the type takes None and no text does it become None.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic

from aiojobs_engine.bulk.failure_file import MARKS
from aiojobs_engine.bulk.preview import guesses
from aiojobs_engine.bulk.row_types import Fault, RowT, Values, is_mixed_text, row_type, shown, worded
from aiojobs_engine.core.errors import ConfigError, SourceError, did_you_mean

_COLUMNS_SHOWN = 20
_ALONE = 8  # rows; fewer are not worth another half
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
        self._marks = frozenset(MARKS).difference(fields)
        self._nullable = [field.name for field in fields.values() if field.empty_is_none]
        self._instants = [field.name for field in fields.values() if field.is_instant]

    @property
    def fields(self) -> Iterable[str]:
        """The names of the fields, as columns have them; none for an open type."""
        return self._type.fields

    @property
    def required(self) -> set[str]:
        """The fields that a source needs columns for: those without a default, and the key."""
        needed = {field.name for field in self._type.fields.values() if field.is_required}
        return needed if self.key is None else needed | {self.key}

    @property
    def has_mixed_keys(self) -> bool:
        """Whether the key may be a text or something else."""
        field = None if self.key is None else self._type.fields.get(self.key)
        return field is not None and is_mixed_text(field.annotation)

    def likely(self, mapping: Mapping[str, str]) -> Callable[[Sequence[str]], None]:
        """A check that takes a header when at least one of its columns is a field, or may be one."""

        def check(columns: Sequence[str]) -> None:
            names = [mapping.get(column, column) for column in columns]
            if self._type.fields and not guesses(names, self._type.fields):
                raise SourceError(_missing(sorted(self.required), columns), argument="source")

        return check

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
        missing = sorted(self.required.difference(names))
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
        if self._type.forbids_others:
            for mark in self._marks:
                for record in records:
                    record.pop(mark, None)
        faults = self._numbers_as_instants(records)
        if not faults:
            try:
                return list(self._type.convert(records)), faults
            except Exception:  # noqa: BLE001 - the row type's own checks may raise anything; each row shows its own
                faults = {}
        rows: list[RowT] = []
        for position, record in enumerate(records):
            if position not in faults:
                rows += self._one(record, position, faults)
        return rows, faults

    def convert_columns(
        self, columns: Mapping[str, Sequence[str]], count: int
    ) -> tuple[list[RowT], dict[int, Fault]]:
        """The same for `count` records of text that have all columns in common.

        Columns are converted as a whole, so that no step is taken per row, unless a value doesn't fit.
        """
        if self._type.forbids_others and not self._marks.isdisjoint(columns):
            columns = {name: values for name, values in columns.items() if name not in self._marks}
        build = self._type.by_columns(columns)
        if build is None:
            return self.convert(list(_records(columns, count)))
        given: dict[str, Sequence[Any]] = dict(columns)
        wrong: dict[int, Fault] = {}
        for name in self._nullable:
            if "" in given.get(name, ()):
                given[name] = [value or None for value in given[name]]
        for name in self._instants:
            values = given.get(name, ())
            if not all(value is None or ":" in value for value in values):
                wrong |= self._numbers_as_instants(list(_records({name: values}, count)))
        if not wrong:
            try:
                return list(build(given)), wrong
            except Exception:  # noqa: BLE001 - the row type's own checks may raise anything; each row shows its own
                wrong = {}
        return self._apart(build, given, count, wrong)

    def _apart(
        self,
        build: Callable[[Values], Sequence[RowT]],
        columns: Mapping[str, Sequence[Any]],
        count: int,
        faults: dict[int, Fault],
    ) -> tuple[list[RowT], dict[int, Fault]]:
        """Halve the rows until those that don't fit are alone with few others; they are rare, as a rule."""
        rows: list[RowT] = []
        known = sorted(faults)
        waiting = [(0, count)]
        while waiting:
            begin, end = waiting.pop()
            part = {name: values[begin:end] for name, values in columns.items()}
            if end - begin <= _ALONE:
                for position, record in enumerate(_records(part, end - begin), begin):
                    if position not in faults:
                        rows += self._one(record, position, faults)
                continue
            if bisect_left(known, begin) == bisect_left(known, end):
                try:
                    rows += build(part)
                    continue
                except Exception:  # noqa: BLE001, S110 - the same
                    pass
            middle = (begin + end) // 2
            waiting += [(middle, end), (begin, middle)]
        return rows, faults

    def _one(self, record: dict[str, Any], position: int, faults: dict[int, Fault]) -> Sequence[RowT]:
        """The row of a record; none, and one fault more, when it doesn't fit."""
        try:
            return self._type.convert([record])
        except Exception as error:  # noqa: BLE001 - the same
            faults[position] = self._fault(record, error)
            return ()

    def with_whole_dates(self, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """`columns` with midnight for a date alone where an instant is wanted, as workbooks mean it."""
        whole = {
            name: [f"{value}T00:00:00" if _DATE.fullmatch(value) else value for value in columns[name]]
            for name in self._instants
            if name in columns
        }
        return {**columns, **whole}

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


def _records(columns: Mapping[str, Sequence[Any]], count: int) -> Iterator[dict[str, Any]]:
    names = list(columns)
    if not names:
        nothing: list[dict[str, Any]] = [{} for _ in range(count)]
        return iter(nothing)
    return (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _missing(missing: Sequence[str], columns: Sequence[str]) -> str:
    near = [guess for guess in guesses(columns, missing) if guess.column != guess.field]
    hints = [f"{guess.column!r}: {guess.field!r}" for guess in near]
    hint = f"; did you mean mapping={{{', '.join(hints)}}}?" if hints else ""
    cut = " ..." if len(columns) > _COLUMNS_SHOWN else ""
    return (
        f"the source has no column for {', '.join(map(repr, missing))}; "
        f"its columns are {', '.join(map(repr, columns[:_COLUMNS_SHOWN]))}{cut}{hint}"
    )
