"""The codec's one rule: what arrives equals what was sent, or the dispatch is refused."""

import enum
import inspect
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.codec import (
    ArgumentCodec,
    ResultCodec,
    checked_depth,
    encode_json,
    encode_plain,
    handler_parameters,
)
from aiojobs_engine.core.errors import ConfigError, PayloadError, PayloadTooLarge

LIMIT = 1 << 20


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct):
    x: int
    y: float = 0.0


class Line(msgspec.Struct):
    start: Point
    end: Point


@dataclass(frozen=True)
class Person:
    name: str
    born: date
    tags: tuple[str, ...] = ()


TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.decimals()
    | st.datetimes()
    | st.uuids()
    | st.sampled_from(Colour),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers(), max_size=3)
        | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
TYPED: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(10**30), 10**30),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: TEXT,
    bytes: st.binary(max_size=20),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(timedelta(days=-1000), timedelta(days=1000)),
    uuid.UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Colour: st.sampled_from(Colour),
    Point: st.builds(Point, st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False)),
    Person: st.builds(Person, TEXT, st.dates(), st.lists(TEXT, max_size=3).map(tuple)),
    list[int]: st.lists(st.integers()),
    tuple[int, str]: st.tuples(st.integers(), TEXT),
    set[int]: st.sets(st.integers()),
    frozenset[str]: st.frozensets(TEXT),
    dict[int, bytes]: st.dictionaries(st.integers(), st.binary(max_size=5)),
    int | None: st.none() | st.integers(),
    Annotated[int, msgspec.Meta(ge=0)]: st.integers(0),
}


def codec_of(fn: Callable[..., Any]) -> ArgumentCodec:
    parameters, hints = handler_parameters(fn)
    return ArgumentCodec(parameters, hints, fn.__name__)


def codec_for(annotation: Any) -> ArgumentCodec:
    parameter = inspect.Parameter("value", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return ArgumentCodec([parameter], {"value": annotation}, "typed")


@settings(deadline=None)
@given(value=PLAIN)
def test_plain_data_arrives_equal_without_any_annotation(value: Any) -> None:
    codec = codec_for(Any)

    assert codec.decode(codec.encode((value,), {})) == (value,)


@settings(deadline=None, max_examples=30)
@pytest.mark.parametrize("annotation", TYPED, ids=str)
@given(data=st.data())
def test_a_value_of_its_annotation_arrives_equal_and_of_its_class(
    annotation: Any, data: st.DataObject
) -> None:
    value = data.draw(TYPED[annotation])
    codec = codec_for(annotation)
    (arrived,) = codec.decode(codec.encode((value,), {}))

    assert arrived == value
    assert type(arrived) is type(value) or annotation is float


@settings(deadline=None, max_examples=300)
@given(value=ANYTHING)
def test_whatever_is_sent_arrives_equal_or_is_refused(value: Any) -> None:
    codec = codec_for(Any)
    try:
        encoded = codec.encode((value,), {})
    except PayloadError as refused:
        assert str(refused).startswith("typed: ")  # noqa: PT017 - one of two answers
    else:
        assert codec.decode(encoded) == (value,)


@settings(deadline=None)
@given(value=ANYTHING)
def test_whatever_a_handler_returns_comes_back_equal_or_is_refused(value: Any) -> None:
    codec = ResultCodec(None)
    try:
        encoded = codec.encode(value, LIMIT)
    except PayloadError:
        return
    assert codec.decode(encoded) == value


@settings(deadline=None)
@given(text=st.binary(max_size=40))
def test_bytes_that_are_no_arguments_are_refused_and_never_anything_else(text: bytes) -> None:
    codec = codec_for(Any)
    try:
        checked = codec.check(text)
    except PayloadError:
        return
    assert codec.decode(checked) == codec.decode(text)


@settings(deadline=None)
@given(levels=st.integers(1, 130), is_object=st.booleans(), inside=TEXT)
def test_64_levels_are_taken_and_65_are_not(levels: int, is_object: bool, inside: str) -> None:  # noqa: FBT001
    value: Any = inside
    for _ in range(levels):
        value = {"[{": value} if is_object else [value]
    if levels <= 64:
        assert msgspec.json.decode(encode_json(value, "it")) == value
    else:
        with pytest.raises(PayloadError, match="it: nested deeper than 64 levels"):
            encode_json(value, "it")


def test_brackets_in_strings_do_not_nest() -> None:
    checked_depth(msgspec.json.encode(['[{"\\' * 1_000] * 10), "it")


@pytest.mark.parametrize("deep", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 65 + b"1" + b"}" * 65])
def test_text_that_nests_deeper_is_refused_before_it_is_read(deep: bytes) -> None:
    with pytest.raises(PayloadError, match="nested deeper than 64 levels"):
        checked_depth(deep, "it")


def test_defaults_are_filled_in_and_never_shared() -> None:
    def handler(count: int, names: list[str] = [], *, flag: bool = True) -> None: ...  # noqa: B006

    codec = codec_of(handler)
    first = codec.decode(codec.encode((1,), {}))
    first[1].append("changed")

    assert codec.decode(codec.encode((), {"count": 1})) == (1, [], True)
    assert codec.names == ("count", "names", "flag")


def test_a_handler_without_arguments_takes_none() -> None:
    def handler() -> None: ...

    codec = codec_of(handler)

    assert codec.encode((), {}) == b"{}"
    assert codec.decode(b"{}") == ()
    with pytest.raises(PayloadError, match="'extra'; it takes no arguments"):
        codec.encode((), {"extra": 1})


def test_arguments_of_a_newer_or_older_release_are_refused_by_name() -> None:
    def handler(count: int) -> None: ...

    codec = codec_of(handler)
    for text, argument in ((b'{"number":1}', "number"), (b"{}", "count"), (b'{"count":"1"}', "count")):
        with pytest.raises(PayloadError) as caught:
            codec.decode(text)
        assert caught.value.argument == argument


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("annotation", [Any, float, list[float], dict[str, float], Point], ids=str)
def test_a_number_that_json_has_not_is_named(annotation: Any, number: float) -> None:
    shapes: dict[Any, Any] = {
        list[float]: [1.0, number],
        dict[str, float]: {"a": number},
        Point: Point(1, number),
    }
    with pytest.raises(PayloadError, match=r"'value' holds -?(nan|inf), and JSON has no such number"):
        codec_for(annotation).encode((shapes.get(annotation, number),), {})


def test_more_bytes_than_the_limit_are_refused_and_as_many_are_not() -> None:
    for encode in (ResultCodec(None).encode, lambda value, limit: encode_plain(value, "it", limit)):
        assert encode("x" * 100, 102) == b'"%s"' % (b"x" * 100)
        with pytest.raises(PayloadTooLarge, match="takes 102 bytes, the limit is 101"):
            encode("x" * 100, 101)


def test_a_result_is_made_its_own_type_again() -> None:
    codec = ResultCodec(Person)
    person = Person("Ada", date(1815, 12, 10), ("one",))

    assert codec.decode(codec.encode(person, LIMIT)) == person
    assert codec.decode(None) is None
    assert codec.encode(None, LIMIT) is None
    with pytest.raises(PayloadError, match="doesn't fit its annotation"):
        codec.decode(b'{"name":1}')


def test_a_return_annotation_that_json_can_not_hold_means_plain_data() -> None:
    codec = ResultCodec(Point | Line)

    assert codec.decode(codec.encode({"a": [1]}, LIMIT)) == {"a": [1]}


@given(value=PLAIN)
def test_plain_data_is_kept_as_a_checkpoint(value: Any) -> None:
    assert msgspec.json.decode(encode_plain(value, "it", LIMIT)) == value


def test_signatures_that_no_job_can_have_are_refused() -> None:
    def many(*args: int) -> None: ...
    def named(**kwargs: int) -> None: ...
    def first(value: int, /) -> None: ...
    def strange(value: Point | Line) -> None: ...
    def unknown(value: "NotThere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for fn, message in (
        (many, "spell each one out"),
        (named, "spell each one out"),
        (first, "spell each one out"),
        (strange, "annotation that JSON can't hold"),
        (unknown, "can't be resolved"),
    ):
        with pytest.raises(ConfigError, match=message):
            codec_of(fn)


@pytest.mark.parametrize(
    "annotation",
    [Callable[[int], int], type[int], range, object()],
    ids=["callable", "type", "range", "object"],
)
def test_what_can_not_be_made_from_json_is_refused_with_its_name(annotation: Any) -> None:
    try:
        codec = codec_for(annotation)
    except ConfigError as refused:
        assert "JSON can't hold" in str(refused) or "can't be job arguments" in str(refused)  # noqa: PT017
        return
    with pytest.raises(PayloadError, match="can't be made from JSON data"):
        codec.decode(b'{"value":1}')


def test_the_schema_names_every_argument_and_those_that_are_required() -> None:
    def handler(count: int, name: str = "x") -> None: ...

    (described,) = codec_of(handler).schema()["$defs"].values()

    assert list(described["properties"]) == ["count", "name"]
    assert described["required"] == ["count"]
