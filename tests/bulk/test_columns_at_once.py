"""Rows that are made by the column are those that are made one by one, and so are their faults."""

import io
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine import Engine
from aiojobs_engine.bulk.rows import RowModel
from tests.bulk.conftest import WriteCsv, counts, work


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Plain(msgspec.Struct):
    name: str
    age: Annotated[int, msgspec.Meta(ge=0)]
    nick: str | None = None
    born: date | None = None
    at: datetime | None = None
    level: Level = Level.LOW
    tags: list[str] = []


class Checked(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    short_name: Annotated[str, msgspec.Meta(max_length=3)]
    is_on: bool

    def __post_init__(self) -> None:
        if self.short_name == "b":
            raise LookupError("no b")


class ByName(msgspec.Struct, kw_only=True):
    name: str
    price: Decimal


class Tagged(msgspec.Struct, tag="tagged"):
    name: str


@dataclass
class Data:
    name: str
    kind: Literal["a", "b"]
    many: list[int] = field(default_factory=list)


@dataclass(init=False)
class Uninitialised:
    name: str


class Typed(TypedDict):
    name: str
    age: int


ROW_TYPES = [Plain, Checked, ByName, Tagged, Data, Uninitialised, Typed, dict[str, str]]
NAMES = ["name", "age", "nick", "born", "at", "level", "shortName", "isOn", "price", "kind", "other"]
CELLS = st.sampled_from(
    [
        "",
        "a",
        "b",
        "7",
        "-1",
        "007",
        "1.5",
        "true",
        "low",
        "null",
        "2026-01-31",
        "2026-01-31T10:00:00",
        "1700000000",
    ]
)


@given(
    row=st.sampled_from(ROW_TYPES),
    names=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    count=st.integers(0, 40),
    data=st.data(),
)
@settings(max_examples=400, deadline=None)
def test_both_ways_give_the_same(row: Any, names: list[str], count: int, data: st.DataObject) -> None:
    model: RowModel[Any] = RowModel(row, None, "the test")
    columns = {name: data.draw(st.lists(CELLS, min_size=count, max_size=count)) for name in names}
    records = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    rows, faults = model.convert_columns(columns, count)

    expected, expected_faults = model.convert(records)
    assert list(map(shown, rows)) == list(map(shown, expected))
    assert faults == expected_faults


def shown(row: Any) -> Any:
    return (type(row), vars(row)) if isinstance(row, Uninitialised) else row


@pytest.mark.parametrize(
    "row, columns", [(Plain, ["age", "name"]), (Data, ["name", "kind"]), (Checked, ["shortName", "isOn"])]
)
def test_plain_types_are_made_by_the_column(row: Any, columns: list[str]) -> None:
    model: RowModel[Any] = RowModel(row, None, "the test")
    assert model._type.by_columns(columns) is not None


@pytest.mark.parametrize("row", [ByName, Tagged, Uninitialised, Typed])
def test_types_with_a_way_of_their_own_are_made_one_by_one(row: Any) -> None:
    model: RowModel[Any] = RowModel(row, None, "the test")
    assert model._type.by_columns(["name", "age", "price"]) is None


async def test_bad_rows_among_many_good_ones_are_found(engine: Engine, write_csv: WriteCsv) -> None:
    handled: list[int] = []

    @engine.importer("users", row=msgspec.defstruct("Row", [("email", str), ("age", int)]), key="email")
    async def import_users(rows: list[Any]) -> None:
        handled.extend(row.age for row in rows)

    bad = {1, 2, 3, 77, 1500, 2999}
    source = write_csv([f"{n}@b,{'x' if n in bad else n}" for n in range(1, 3001)])
    async with engine:
        handle = await engine.dispatch(import_users, io.BytesIO(source.read_bytes()), chunk_size=1000)
        await work(engine)
        assert counts(await handle.status()) == (2994, 6, 0, 3000)
        assert {f.row_number async for f in engine.failures.list(handle.id)} == bad
    assert sorted(handled) == [n for n in range(1, 3001) if n not in bad]
