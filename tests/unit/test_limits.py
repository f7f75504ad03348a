import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.limits import ERROR_CHARS, NAME_CHARS, checked_name, shortened


@pytest.mark.parametrize("name", ["a", "app.send_it", "A-Z:0.9_x", "-", "x" * NAME_CHARS])
def test_a_good_name_comes_back(name: str) -> None:
    assert checked_name(name, "a queue") == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a\n", "é", "a/b", "a\0", "x" * (NAME_CHARS + 1), "a#1", "\ud800", None, 7]
)
def test_a_bad_name_is_refused_and_told_whose_it_is(name: str) -> None:
    with pytest.raises(ConfigError, match="a queue must be"):
        checked_name(name, "a queue")


def test_an_endless_name_makes_no_endless_message() -> None:
    with pytest.raises(ConfigError) as refused:
        checked_name("ü" * 100_000, "a queue")

    assert len(str(refused.value)) < 200


@given(st.text(max_size=300), st.integers(60, 200))
def test_a_shortened_text_is_storable_and_fits(text: str, limit: int) -> None:
    short = shortened(text, limit)

    assert len(short) <= limit
    assert "\0" not in short
    assert short.encode("utf-8").decode("utf-8") == short


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200))
def test_a_short_text_is_left_alone(text: str) -> None:
    assert shortened(text) == text


def test_beginning_and_end_of_a_long_text_stay() -> None:
    text = "first line\n" + "x" * 10**6 + "\nlast line"

    short = shortened(text)

    assert len(short) <= ERROR_CHARS
    assert short.startswith("first line\n")
    assert short.endswith("\nlast line")
    assert "characters cut" in short


def test_lone_surrogates_are_shown_escaped() -> None:
    assert shortened("a\ud800b") == "a\\ud800b"
