"""The types that a row can have: their fields, and how records become them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import is_dataclass
from inspect import Parameter, signature
from itertools import takewhile
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast, get_type_hints

import msgspec
from msgspec import inspect as kinds

from aiojobs_engine.core.errors import ConfigError

RowT = TypeVar("RowT")
RowT_co = TypeVar("RowT_co", covariant=True)
Values = Mapping[str, Sequence[Any]]
"""The values of some rows, field by field."""

_RECORDS = (kinds.StructType, kinds.DataclassType, kinds.TypedDictType)
_OPEN = (kinds.DictType, kinds.AnyType)
_TEXTS = (kinds.StrType, kinds.AnyType, kinds.RawType, kinds.BytesType, kinds.CustomType)
_SHOWN = 60
_PLAIN_NEW: tuple[Any, ...] = (object.__new__, msgspec.Struct.__new__)
_ANY_TEXT = (kinds.StrType(), kinds.NoneType())


class Fault(NamedTuple):
    """What is wrong with a row: the first field at fault, None for the whole row, and all of it in words."""

    field: str | None
    message: str


class Field(NamedTuple):
    """A field of a row type, under the name that columns have.

    Attributes:
        is_required: a source without such a column can't be imported.
        empty_is_none: an empty cell is None here.
        is_instant: numbers, which would pass as seconds since 1970, are refused.
    """

    name: str
    annotation: Any
    is_required: bool
    empty_is_none: bool
    is_instant: bool


class RowType(Protocol[RowT_co]):
    """Makes rows of one type from records.

    Attributes:
        fields: by the names that columns have; empty for an open type.
        is_open: any columns will do.
        forbids_others: columns that are no fields are refused.
    """

    fields: Mapping[str, Field]
    is_open: bool
    forbids_others: bool

    def convert(self, records: Sequence[Mapping[str, Any]]) -> Sequence[RowT_co]:
        """All records as rows; any exception when one doesn't fit."""
        ...

    def by_columns(self, columns: Collection[str]) -> Callable[[Values], Sequence[RowT_co]] | None:
        """What makes rows of values that come by these columns; None when only `convert` can.

        It raises any exception when one doesn't fit, and gives the very rows that `convert` would.
        """
        ...

    def problems(self, record: Mapping[str, Any]) -> list[Fault]:
        """What is wrong with the fields of a record that `convert` refused."""
        ...


def row_type(row: type[RowT], owner: str) -> RowType[RowT]:
    """The row type behind a msgspec struct, dataclass, TypedDict, pydantic model or plain dict.

    Raises:
        ConfigError: `row` is none of these; `owner` says whose row type it is.
    """
    if hasattr(row, "model_validate") and hasattr(row, "model_fields"):
        return _Models(row)
    try:
        described = kinds.type_info(row)
        msgspec.convert([], list[row], dec_hook=_decode_other)  # type: ignore[valid-type]
    except (TypeError, NameError) as error:
        raise ConfigError(f"{owner}: its row type can't be used: {error}") from error
    if not isinstance(described, _RECORDS + _OPEN):
        raise ConfigError(
            f"{owner}: row={row!r} is no row type; "
            "use a msgspec.Struct, a dataclass, a TypedDict, a pydantic model or dict[str, str]"
        )
    if isinstance(described, kinds.StructType) and described.array_like:
        raise ConfigError(f"{owner}: its row type is array_like, but rows have named columns")
    return _Plain(row, described)


def is_mixed_text(annotation: object) -> bool:
    """Whether a field takes text, and other values beside it and None."""
    try:
        described = kinds.type_info(annotation)
    except TypeError:
        return True
    if not isinstance(described, kinds.UnionType):
        return False
    return any(isinstance(each, kinds.StrType) for each in described.types) and not all(
        isinstance(each, kinds.StrType | kinds.NoneType) for each in described.types
    )


def shown(value: object) -> str:
    """A value in a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def worded(error: Exception) -> str:
    """The message of a failed conversion, without the place in the data."""
    return (str(error) or type(error).__name__).split(" - at `$")[0]


class _Plain(Generic[RowT]):
    """Structs, dataclasses, TypedDicts and dicts, by msgspec."""

    def __init__(self, row: type[RowT], described: kinds.Type) -> None:
        self._rows: Any = list[row]  # type: ignore[valid-type]
        self.is_open = not isinstance(described, _RECORDS)
        self.forbids_others = isinstance(described, kinds.StructType) and described.forbid_unknown_fields
        self.fields: Mapping[str, Field] = {}
        if isinstance(described, _RECORDS):
            hints = get_type_hints(row, include_extras=True)
            self.fields = {field.encode_name: _field(field, hints) for field in described.fields}
        self._row = row
        self._slots = _slots(row, described, self.fields)

    def convert(self, records: Sequence[Mapping[str, Any]]) -> Sequence[RowT]:
        rows = msgspec.convert(records, self._rows, strict=False, dec_hook=_decode_other)
        return cast("list[RowT]", rows)

    def by_columns(self, columns: Collection[str]) -> Callable[[Values], list[RowT]] | None:
        given = list(takewhile(lambda slot: slot.name in columns, self._slots))
        rest = self._slots[len(given) :]
        if not given or any(slot.name in columns or slot.is_required for slot in rest):
            return None
        if self.forbids_others and not self.fields.keys() >= set(columns):
            return None

        def build(values: Values) -> list[RowT]:
            arguments = [slot.convert(values[slot.name]) for slot in given]
            return list(map(self._row, *arguments))

        return build

    def problems(self, record: Mapping[str, Any]) -> list[Fault]:
        faults: list[Fault] = []
        for field in self.fields.values():
            if field.name in record:
                value = record[field.name]
                try:
                    msgspec.convert(value, field.annotation, strict=False, dec_hook=_decode_other)
                except Exception as error:  # noqa: BLE001 - the checks of a field's type may raise anything
                    expected = worded(error).split(", got `")[0]
                    faults.append(Fault(field.name, f"{expected}, got {shown(value)}"))
            elif field.is_required:
                faults.append(Fault(field.name, "the column is missing"))
        return faults


class _Slot(NamedTuple):
    """A parameter of a row type's constructor: its name as a column, and what its values go through."""

    name: str
    is_required: bool
    convert: Callable[[Sequence[Any]], Sequence[Any]]


def _slots(row: type[Any], described: kinds.Type, fields: Mapping[str, Field]) -> tuple[_Slot, ...]:
    """The parameters in order; none when the constructor is not the plain one, by position alone."""
    if isinstance(described, kinds.StructType):
        is_plain = described.tag is None
    elif isinstance(described, kinds.DataclassType):
        is_plain = is_dataclass(row) and bool(cast("Any", row).__dataclass_params__.init)
    else:
        return ()
    parameters = signature(row).parameters.values() if is_plain else ()
    names = [parameter.name for parameter in parameters]
    if names != [field.name for field in described.fields] or not any(
        row.__new__ is plain for plain in _PLAIN_NEW
    ):
        return ()
    if any(parameter.kind is not Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
        return ()
    return tuple(
        _Slot(field.encode_name, field.required, _converter(field.type, fields[field.encode_name]))
        for field in described.fields
    )


def _converter(described: kinds.Type, field: Field) -> Callable[[Sequence[Any]], Sequence[Any]]:
    parts = described.types if isinstance(described, kinds.UnionType) else (described,)
    if kinds.StrType() in parts and all(part in _ANY_TEXT for part in parts):
        return _as_it_is  # cells are texts
    values = list[field.annotation]  # type: ignore[name-defined]

    def convert(cells: Sequence[Any]) -> Sequence[Any]:
        return msgspec.convert(cells, values, strict=False, dec_hook=_decode_other)

    return convert


def _as_it_is(cells: Sequence[Any]) -> Sequence[Any]:
    return cells


class _Model(Protocol):
    """The part of a pydantic model class that is used here."""

    model_fields: Mapping[str, Any]

    def model_validate(self, value: object) -> Any:
        """The model, or a ValueError."""
        ...


class _Models(Generic[RowT]):
    """Pydantic models, by their own validation."""

    def __init__(self, row: type[RowT]) -> None:
        model = cast("_Model", row)
        self._validate = model.model_validate
        self.is_open = False
        self.forbids_others = False
        self.fields: Mapping[str, Field] = {
            field.name: field
            for name, described in model.model_fields.items()
            for field in [_model_field(name, described)]
        }

    def convert(self, records: Sequence[Mapping[str, Any]]) -> Sequence[RowT]:
        return [self._validate(record) for record in records]

    def by_columns(self, columns: Collection[str]) -> None:
        """Nothing: a model takes its values together."""
        del columns

    def problems(self, record: Mapping[str, Any]) -> list[Fault]:
        try:
            self._validate(record)
        except Exception as error:  # noqa: BLE001 - the checks of a model may raise anything
            listed = getattr(error, "errors", None)
            if callable(listed):
                found = cast("list[dict[str, Any]]", listed())
                return [Fault(str(one["loc"][0]) if one["loc"] else None, str(one["msg"])) for one in found]
        return []


class _Takes(NamedTuple):
    """What a type takes."""

    none: bool = False
    text: bool = False
    instant: bool = False


def _field(field: kinds.Field, hints: Mapping[str, Any]) -> Field:
    takes = _takes(field.type)
    return Field(
        field.encode_name,
        hints.get(field.name, Any),
        field.required,
        empty_is_none=takes.none and not takes.text,
        is_instant=takes.instant and not takes.text,
    )


def _model_field(name: str, described: Any) -> Field:
    alias = getattr(described, "validation_alias", None) or getattr(described, "alias", None)
    annotation = getattr(described, "annotation", None)
    try:
        takes = _takes(kinds.type_info(annotation))
    except (TypeError, NameError):
        takes = _Takes()
    return Field(
        alias if isinstance(alias, str) else name,
        annotation,
        is_required=bool(described.is_required()),
        empty_is_none=takes.none and not takes.text,
        is_instant=takes.instant and not takes.text,
    )


def _takes(described: kinds.Type) -> _Takes:
    inner = described.type if isinstance(described, kinds.Metadata) else described
    parts = inner.types if isinstance(inner, kinds.UnionType) else (inner,)
    bare = [part.type if isinstance(part, kinds.Metadata) else part for part in parts]
    return _Takes(
        none=any(isinstance(part, kinds.NoneType) for part in bare),
        text=any(isinstance(part, _TEXTS) for part in bare),
        instant=any(isinstance(part, kinds.DateTimeType) for part in bare),
    )


def _decode_other(kind: type[Any], value: object) -> object:
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    if isinstance(value, kind):
        return value
    raise TypeError(f"{kind.__qualname__} can't be made from a cell")
