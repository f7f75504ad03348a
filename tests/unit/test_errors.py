import inspect

import pytest

from aiojobs_engine.core import errors
from aiojobs_engine.core.errors import (
    BackendError,
    EngineError,
    IllegalTransition,
    JobFailedError,
    Signal,
    TooLate,
    UnfinishedResult,
    UnknownJobType,
    did_you_mean,
)


def test_every_error_has_one_root_and_every_signal_another() -> None:
    classes = [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if member.__module__ == errors.__name__
    ]

    assert {one for one in classes if not issubclass(one, EngineError | Signal)} == set()


def test_a_broad_except_lets_a_signal_pass() -> None:
    assert not issubclass(Signal, Exception)


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("quue", ["queue", "priority"]) == "; did you mean 'queue'?"
    assert did_you_mean("colour", ["queue", "priority"]) == ""
    assert "did you mean 'app.send'" in str(UnknownJobType("app.sent", ["app.send"]))


def test_an_error_says_what_happened_with_its_facts_beside_it() -> None:
    error = TooLate("j1", "completed", "cancel")

    assert (error.job_id, error.status, error.trigger) == ("j1", "completed", "cancel")
    assert str(error) == "job 'j1' is completed, so it can't be cancelled"
    assert isinstance(error, IllegalTransition)


def test_who_would_retry_an_import_that_is_partly_in_is_led_to_its_rows() -> None:
    assert str(IllegalTransition("j1", "partial", "retry")).endswith("its failed rows can: `failures retry`")


@pytest.mark.parametrize("detail, message", [("boom", "job 'j1' failed: boom"), ("", "job 'j1' failed")])
def test_a_missing_result_says_why(detail: str, message: str) -> None:
    error = JobFailedError("j1", detail)

    assert str(error) == message
    assert isinstance(error, UnfinishedResult)


def test_all_that_a_store_answers_can_be_caught_at_once() -> None:
    names = ["BackendUnavailable", "BackendFull", "SchemaMismatch", "BackendClosed"]

    assert all(issubclass(getattr(errors, name), BackendError) for name in names)
