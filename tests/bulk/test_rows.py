"""From records to rows, and what is said about those that don't fit."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, TypedDict

import msgspec
import pytest

from aiojobs_engine.bulk.row_types import Fault
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.core.errors import ConfigError, SourceError


class User(msgspec.Struct):
    email: str
    age: Annotated[int, msgspec.Meta(ge=0)]
    born: date | None = None
    nick: str | None = None


@dataclass
class Point:
    x: float
    y: float


class Pair(TypedDict):
    left: str
    right: int


def model(row: type[Any], key: str | None = None) -> RowModel[Any]:
    return RowModel(row, key, "the test")


def only_fault(row: type[Any], record: dict[str, Any]) -> Fault:
    rows, faults = model(row).convert([record])
    assert rows == []
    return faults[0]


def test_text_becomes_what_the_annotation_says() -> None:
    records = [{"email": "a@b", "age": "42", "born": "2026-01-31", "nick": "007", "other": "left out"}]
    assert model(User).convert(records) == ([User("a@b", 42, date(2026, 1, 31), "007")], {})


def test_dataclasses_typed_dicts_and_plain_dicts_are_row_types() -> None:
    assert model(Point).convert([{"x": "1.5", "y": "2"}])[0] == [Point(1.5, 2.0)]
    assert model(Pair).convert([{"left": "a", "right": "2"}])[0] == [{"left": "a", "right": 2}]
    assert model(dict[str, str]).convert([{"any": "thing"}])[0] == [{"any": "thing"}]


def test_an_empty_cell_is_none_only_where_no_text_fits() -> None:
    (row,), _ = model(User).convert([{"email": "", "age": "1", "born": "", "nick": ""}])
    assert (row.email, row.born, row.nick) == ("", None, "")


def test_a_missing_column_leaves_the_default() -> None:
    (row,), _ = model(User).convert([{"email": "a", "age": "1"}])
    assert (row.born, row.nick) == (None, None)


def test_a_fault_names_the_field_and_shows_the_value() -> None:
    assert only_fault(User, {"email": "a", "age": "x"}) == Fault("age", "Expected `int`, got 'x'")
    assert only_fault(User, {"email": "a", "age": "-1"}) == Fault("age", "Expected `int` >= 0, got '-1'")


def test_a_fault_tells_all_that_is_wrong() -> None:
    fault = only_fault(User, {"email": "a", "age": "x", "born": "31/01/2026"})
    assert fault.field == "age"
    assert fault.message.startswith("age: Expected `int`, got 'x'; born: ")
    assert "'31/01/2026'" in fault.message


def test_one_bad_row_leaves_the_others() -> None:
    records: list[dict[str, Any]] = [{"email": str(n), "age": "x" if n == 3 else str(n)} for n in range(5)]
    rows, faults = model(User).convert(records)
    assert [row.age for row in rows] == [0, 1, 2, 4]
    assert list(faults) == [3]


def test_a_number_is_no_instant() -> None:
    class Row(msgspec.Struct):
        at: datetime

    assert model(Row).convert([{"at": "2026-01-31T12:00:00Z"}])[0] == [
        Row(datetime(2026, 1, 31, 12, tzinfo=UTC))
    ]
    for number in ("1700000000", "20260131", "", 1700000000):
        assert "ISO 8601" in only_fault(Row, {"at": number}).message


def test_leading_zeros_do_not_become_a_number() -> None:
    assert only_fault(User, {"email": "a", "age": "007"}).field == "age"


def test_what_the_row_type_raises_itself_is_a_fault() -> None:
    class Row(msgspec.Struct):
        price: Decimal

        def __post_init__(self) -> None:
            if self.price > 100:
                raise LookupError("too dear")

    rows, faults = model(Row).convert([{"price": "5"}, {"price": "500"}])
    assert (len(rows), faults) == (1, {1: Fault(None, "too dear")})


def test_a_renamed_field_is_known_by_its_name_in_the_source() -> None:
    class Row(msgspec.Struct, rename="camel"):
        first_name: str

    model(Row).check_columns(["firstName"], {})
    assert model(Row).convert([{"firstName": "Ada"}])[0] == [Row("Ada")]


class Model:
    """What pydantic gives a model class, as far as it matters here."""

    class Described:
        def __init__(self, annotation: Any, *, required: bool) -> None:
            self.annotation = annotation
            self.alias = None
            self.required = required

        def is_required(self) -> bool:
            return self.required

    class Invalid(ValueError):
        def errors(self) -> list[dict[str, Any]]:
            return [{"loc": ("age",), "msg": "not a number"}, {"loc": ("name",), "msg": "too short"}]

    model_fields: ClassVar[dict[str, Any]] = {
        "name": Described(str, required=True),
        "age": Described(int | None, required=False),
    }

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> "Model":
        if value["name"] == "":
            raise cls.Invalid
        return cls(value)


def test_pydantic_models_validate_themselves() -> None:
    (row,), _ = model(Model).convert([{"name": "Ada", "age": ""}])
    assert row.values == {"name": "Ada", "age": None}
    assert only_fault(Model, {"name": "", "age": "x"}) == Fault("age", "age: not a number; name: too short")
    with pytest.raises(SourceError, match="no column for 'name'"):
        model(Model).check_columns(["age"], {})


def test_a_missing_column_is_told_with_the_mapping_that_would_help() -> None:
    with pytest.raises(SourceError) as caught:
        model(User).check_columns(["E-Mail", "Age", "x"], {})
    assert str(caught.value) == (
        "the source has no column for 'age', 'email'; its columns are 'E-Mail', 'Age', 'x'; "
        "did you mean mapping={'E-Mail': 'email', 'Age': 'age'}?"
    )
    assert caught.value.argument == "source"


def test_a_mapping_renames_columns() -> None:
    mapping = {"E-Mail": "email", "Years": "age"}
    model(User).check_mapping(mapping, ["E-Mail", "Years"])
    model(User).check_columns(["E-Mail", "Years"], mapping)


@pytest.mark.parametrize(
    "mapping, message",
    [
        ({"Mail": "emial"}, "mapping leads to 'emial', no field of the row type; did you mean 'email'?"),
        ({"Maill": "email"}, "mapping names 'Maill', no column of the source; did you mean 'Mail'?"),
        ({"Mail": "email", "More": "email"}, "two columns lead to the field 'email'"),
        ({"Mail": "age"}, "two columns lead to the field 'age'"),
    ],
)
def test_a_wrong_mapping_is_refused(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(SourceError) as caught:
        model(User).check_mapping(mapping, ["Mail", "More", "age"])
    assert message in str(caught.value)
    assert caught.value.argument == "mapping"


def test_the_key_must_be_there() -> None:
    with pytest.raises(ConfigError, match="key='emial' is no field of its row type; did you mean 'email'"):
        model(User, "emial")
    with pytest.raises(SourceError, match="no column for 'nick'"):
        model(User, "nick").check_columns(["email", "age"], {})


def test_columns_that_the_row_type_forbids_are_refused() -> None:
    class Row(msgspec.Struct, forbid_unknown_fields=True):
        a: str

    with pytest.raises(SourceError, match="no fields for the columns 'b', 'c'"):
        model(Row).check_columns(["a", "c", "b"], {})


class ArrayLike(msgspec.Struct, array_like=True):
    a: str


@pytest.mark.parametrize("row", [int, str, list[int], ArrayLike, 5])
def test_what_is_no_row_type_is_refused(row: Any) -> None:
    with pytest.raises(ConfigError, match="the test: "):
        model(row)
