"""The columns of an export: what is taken from each row, and what a spreadsheet must not compute."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from operator import attrgetter, itemgetter
from typing import Any, cast
from uuid import UUID

import msgspec

from aiojobs_engine.core.errors import ConfigError, ExportError, did_you_mean

Cells = tuple[Any, ...]

_PLAIN = frozenset({str, int, float, type(None), Decimal, UUID})
_STARTS = frozenset("=+-@\t\r\n\0\"' \u00a0\uff1d\uff0b\uff0d\uff20")
_FORMULA = re.compile("'*[\"\\s\0\u00a0]*[=+\\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")
_FIRST = itemgetter(slice(0, 1))
_SHOWN = 12


class Columns:
    """Which fields of a row are exported, under which names.

    Attributes:
        fields: what is taken from a row.
        labels: the names in the file.
        formulas: the positions of columns whose text may be a formula.
    """

    def __init__(
        self, columns: Sequence[str] | Mapping[str, str], formulas: Sequence[str], owner: str
    ) -> None:
        """Take the names of fields, or fields with the names that they have in the file.

        Raises:
            ConfigError: there are none, one comes twice, or `formulas` names none of them.
        """
        if isinstance(columns, str) or not columns:
            raise ConfigError(
                f"{owner}: columns names the fields to export, like ['email', 'name'], got {columns!r}"
            )
        named = columns if isinstance(columns, Mapping) else {name: name for name in columns}
        self.fields = tuple(named)
        self.labels = tuple(named.values())
        for name in (*self.fields, *self.labels):
            if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(f"{owner}: the names of columns are texts, got {name!r:.80}")
        if len(self.fields) != len(columns) or len(set(self.labels)) != len(self.labels):
            raise ConfigError(f"{owner}: a column comes twice in {', '.join(self.labels[:_SHOWN])}")
        for name in formulas:
            if name not in self.fields:
                raise ConfigError(
                    f"{owner}: formulas names {name!r}, which is no column{did_you_mean(name, self.fields)}"
                )
        self.formulas = frozenset(self.fields.index(name) for name in formulas)
        self._getters: dict[type, Callable[[Any], Cells]] = {}

    def cells(self, rows: Sequence[Any], first: int) -> list[Cells]:
        """What stands in the columns of each row; `first` is the number of the first one.

        Raises:
            ExportError: a row is none, or lacks a column; the error names its number.
        """
        kinds: set[type[Any]] = set(map(type, rows))
        try:
            if len(kinds) == 1:
                return list(map(self._getter(kinds.pop()), rows))
            return [self._one(row) for row in rows]
        except (AttributeError, KeyError, IndexError, TypeError):
            for number, row in enumerate(rows, first):
                self._check(row, number)
            raise

    def _getter(self, kind: type[Any]) -> Callable[[Any], Cells]:
        known = self._getters.get(kind)
        if known is None:
            known = self._getters[kind] = self._made(kind)
        return known

    def _one(self, row: object) -> Cells:
        kind: type[Any] = type(row)
        return self._getter(kind)(row)

    def _made(self, kind: type[Any]) -> Callable[[Any], Cells]:
        names = dir(kind)
        if issubclass(kind, tuple | list) and "_fields" not in names:
            return self._positional
        by_name = itemgetter if "keys" in names else attrgetter
        get = cast("Callable[[Any], Any]", by_name(*self.fields))
        return get if len(self.fields) > 1 else lambda row: (get(row),)

    def _positional(self, row: Sequence[Any]) -> Cells:
        if len(row) != len(self.fields):
            raise IndexError
        return tuple(row)

    def _check(self, row: object, number: int) -> None:
        try:
            self._one(row)
        except IndexError:
            raise ExportError(
                f"row {number:,} has {len(cast('Sequence[Any]', row))} values for {len(self.fields)} columns"
            ) from None
        except (AttributeError, KeyError, TypeError) as error:
            lacking = error.args[0] if isinstance(error, KeyError) else getattr(error, "name", None)
            hint = did_you_mean(str(lacking), _names_of(row))
            raise ExportError(
                f"row {number:,}, of type {type(row).__qualname__}, has no {lacking!r}{hint}"
            ) from None


def _names_of(row: object) -> list[str]:
    if isinstance(row, Mapping):
        return [str(name) for name in cast("Mapping[object, object]", row)]
    return list(getattr(row, "__match_args__", ()))


def texts(cells: list[Cells], free: frozenset[int]) -> list[Cells]:
    """The cells as a text file shows them, with formulas made harmless but in the columns `free`.

    Numbers stay numbers. None is empty, instants are ISO 8601, bytes are Base64, what nests is JSON.
    """
    columns: list[Sequence[Any]] = []
    is_changed = False
    for position, column in enumerate(zip(*cells, strict=True)):
        made: Sequence[Any] = column
        kinds = set(map(type, column))
        if not kinds <= _PLAIN:
            made = [_text(value) for value in column]
            kinds = set(map(type, made))
        if str in kinds and position not in free:
            made = _harmless(made, is_pure=len(kinds) == 1)
        is_changed = is_changed or made is not column
        columns.append(made)
    return list(zip(*columns, strict=True)) if is_changed else cells


def harmless(text: str) -> str:
    """`text` so that no spreadsheet computes it: with `'` before what may begin a formula.

    One that has such a sign already gets another, so that `original` finds the text again.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def original(text: str) -> str:
    """What `harmless` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def plain(value: object) -> object:
    """A value as JSON has it, for what no file format holds by itself."""
    return msgspec.to_builtins(value, enc_hook=_other, str_keys=True)


def _harmless(column: Sequence[Any], *, is_pure: bool) -> Sequence[Any]:
    texts_of = column if is_pure else [value for value in column if type(value) is str]
    firsts = set(map(_FIRST, texts_of))
    if firsts.isdisjoint(_STARTS):
        return column
    return [harmless(value) if type(value) is str else value for value in column]


def _text(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return _text(value.value)
        case str():
            return str(value)
        case None | int() | float() | Decimal() | UUID():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray():
            return b64encode(value).decode("ascii")
        case _:
            found = plain(value)
            return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def _other(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)
