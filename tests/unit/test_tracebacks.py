"""What is stored of an exception's way."""

import traceback
from collections.abc import Callable
from functools import partial

import pytest

from aiojobs_engine.core.breaker import checked_breaker
from aiojobs_engine.runtime.tracebacks import traceback_of


def fails(text: str = "no such account") -> None:
    raise LookupError(text)


def chained() -> None:
    try:
        fails()
    except LookupError as error:
        raise ValueError("not stored") from error


def grouped() -> None:
    raise ExceptionGroup("several", [LookupError("one"), LookupError("other")])


def noted() -> None:
    try:
        fails()
    except LookupError as error:
        error.add_note("in the third row")
        raise


def deep(levels: int = 50) -> None:
    if levels:
        deep(levels - 1)
    else:
        fails()


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        call()
    return caught.value


@pytest.mark.parametrize("call", [fails, chained, grouped, noted])
def test_it_is_what_python_prints(call: Callable[[], object]) -> None:
    error = raised(call)
    assert traceback_of(error) == "".join(traceback.format_exception(error))


def test_the_same_place_says_what_it_says_each_time() -> None:
    first, second = (traceback_of(raised(partial(fails, text))) for text in ("one", "two"))
    assert first.replace("LookupError: one", "LookupError: two") == second


def test_two_lines_of_one_function_are_two_places() -> None:
    def either(number: int) -> None:
        if number == 1:
            raise LookupError("one")
        raise LookupError("two")

    for number, name in ((1, "one"), (2, "two")):
        assert f'raise LookupError("{name}")' in traceback_of(raised(lambda: either(number)))  # noqa: B023 - called at once


def test_of_a_deep_way_the_end_is_kept() -> None:
    told = traceback_of(raised(deep))
    assert told.count('File "') == 20
    assert "raise LookupError(text)" in told


def test_where_only_the_engine_was_its_frames_stay() -> None:
    error = raised(lambda: checked_breaker("no breaker", "a job"))
    while error.__traceback__ is not None and error.__traceback__.tb_frame.f_code.co_filename == __file__:
        error = error.with_traceback(error.__traceback__.tb_next)
    assert "in checked_breaker" in traceback_of(error)


def test_an_exception_that_was_never_raised_has_its_message() -> None:
    assert traceback_of(LookupError("of nobody")) == "LookupError: of nobody\n"
