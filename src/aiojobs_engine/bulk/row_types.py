"""The types that a row can have: their fields, and how records become them."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast, get_type_hints

import msgspec
from msgspec import inspect as kinds

from aiojobs_engine.core.errors import ConfigError

RowT = TypeVar("RowT")
RowT_co = TypeVar("RowT_co", covariant=True)

_RECORDS = (kinds.StructType, kinds.DataclassType, kinds.TypedDictType)
_OPEN = (kinds.DictType, kinds.AnyType)
_TEXTS = (kinds.StrType, kinds.AnyType, kinds.RawType, kinds.BytesType, kinds.CustomType)
_SHOWN = 60


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

    def convert(self, records: Sequence[Mapping[str, Any]]) -> Sequence[RowT]:
        rows = msgspec.convert(records, self._rows, strict=False, dec_hook=_decode_other)
        return cast("list[RowT]", rows)

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
