"""W15 to W18: handlers that return or raise what nobody expects."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from tests.cases.conftest import MakeCase


class OwnKind(BaseException):
    """Not an `Exception`, and not one of the interpreter's."""


@pytest.mark.case("W15", "W16")
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), OwnKind(), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_class_a_handler_raises_its_attempt_fails_and_the_worker_lives(
    make_case: MakeCase, error: BaseException
) -> None:
    case = make_case()

    @case.registry.job(retry=Retry.fixed(2, 1))
    async def rude() -> None:
        raise error

    @case.registry.job()
    async def polite() -> None: ...

    async with case.running() as worker:
        first = await case.until_final(await case.push(rude.job()))
        second = await case.until_final(await case.push(polite.job()))
        assert worker.is_healthy

    assert (first.status, first.attempts, first.crashes) == (Status.FAILED, 2, 0)
    assert first.error is not None
    assert first.error.type.endswith(type(error).__name__)
    assert second.status is Status.COMPLETED


@pytest.mark.case("W15")
@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
async def test_what_a_plain_function_raises_in_its_thread_fails_its_attempt_only(
    make_case: MakeCase, error: BaseException
) -> None:
    case = make_case()

    @case.registry.job(retry=Retry.none())
    def rude() -> None:
        raise error

    async with case.running() as worker:
        status = await case.until_real(await case.push(rude.job()), Status.FAILED)
        assert worker.is_healthy

    assert status.error is not None
    assert status.error.type == type(error).__name__


class FailsAsJson:
    def model_dump(self, *, mode: str) -> object:
        raise RuntimeError(f"no {mode} today")


@dataclass
class FailsToCompare:
    number: int

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("apples and pears")

    __hash__ = None  # type: ignore[assignment]


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


ODD_RESULTS: dict[str, object] = {
    "object": object(),
    "tuple of sets": ({1}, {2}),
    "nan": float("nan"),
    "surrogate": "\ud800",
    "keys": {1: "a", "1": "b"},
    "huge number": 10**5000,
    "fails as json": FailsAsJson(),
    "fails to compare": FailsToCompare(1),
    "65 levels": deep(65),
    "100,000 levels": deep(100_000),
    "50 MB": "x" * 50_000_000,
}


@pytest.mark.case("W17")
@pytest.mark.parametrize("result", ODD_RESULTS.values(), ids=ODD_RESULTS.keys())
async def test_a_result_that_can_not_be_kept_completes_the_job_and_says_why(
    make_case: MakeCase, result: object
) -> None:
    case = make_case()

    @case.registry.job()
    async def odd() -> object:
        return result

    @case.registry.job()
    async def even() -> int:
        return 2

    async with case.running():
        first = await case.until_final(await case.push(odd.job()))
        second = await case.until_final(await case.push(even.job()))

    assert (first.status, first.attempts, first.result) == (Status.COMPLETED, 1, None)
    assert first.error is not None
    assert first.error.type == "result_error"
    assert first.error.message
    assert second.result == 2


class Unspeakable(Exception):
    def __init__(self, inner: BaseException) -> None:
        self.inner = inner

    def __str__(self) -> str:
        raise self.inner


def cyclic() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def nested(depth: int) -> BaseException:
    error: Exception = ValueError("inside")
    for _ in range(depth):
        error = ExceptionGroup("around", [error])
    return error


@pytest.mark.case("W18")
@pytest.mark.parametrize(
    "error",
    [
        Unspeakable(RuntimeError("no words")),
        Unspeakable(SystemExit(1)),
        Unspeakable(asyncio.CancelledError()),
        ValueError("x" * 10_000_000),
        ValueError("\ud800 and \0"),
        cyclic(),
        nested(5_000),
    ],
    ids=["no words", "exits", "cancels", "10 MB", "surrogate", "cyclic", "nested"],
)
async def test_an_error_that_can_hardly_be_told_still_ends_its_attempt(
    make_case: MakeCase, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    case = make_case()

    @case.registry.job(retry=Retry.none())
    async def broken() -> None:
        raise error

    @case.registry.job()
    async def sound() -> None: ...

    async with case.running() as worker:
        first = await case.until_final(await case.push(broken.job()), seconds=30)
        second = await case.until_final(await case.push(sound.job()), seconds=30)
        assert worker.is_healthy

    assert (first.status, first.attempts, first.crashes) == (Status.FAILED, 1, 0)
    assert first.error is not None
    assert first.error.type.endswith(type(error).__name__)
    assert len(first.error.message) <= 16 * 1024
    assert len(first.error.traceback) <= 16 * 1024
    assert second.status is Status.COMPLETED
