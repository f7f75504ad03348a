"""W: workers that die, stand still or meet handlers that misbehave, in virtual time.

Where a case says kill, `tests/faults/test_worker_kills_cases.py` kills a real process.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from aiojobs_engine.core.errors import LeaseLostError
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.worker import Worker
from tests.cases.conftest import MakeCase

T = 2.0
AGENTS = ("heartbeat", "rescuer", "promoter", "pruner", "watcher")


async def stand_still(worker: Worker) -> None:
    """Let the agents stop as those of a stopped process do; its handlers wait for what the test holds."""
    for agent in AGENTS:
        await worker._agents.stop(agent)


def losses(caplog: pytest.LogCaptureFixture, job_id: str) -> list[str]:
    return [message for message in caplog.messages if job_id in message and "was lost" in message]


@pytest.mark.case("W2")
async def test_jobs_that_were_claimed_by_a_dead_worker_all_run_again_at_the_price_of_one_crash(
    make_case: MakeCase,
) -> None:
    case = make_case()
    ran: list[int] = []

    @case.registry.job(retry=Retry.none())
    async def numbered(number: int) -> None:
        ran.append(number)

    await case.store.open()
    ids = [await case.push(numbered.job(number=number)) for number in range(50)]
    claims = await case.store.claim(Watch("dead", ("default",), (numbered.name,)), 50, T)
    assert len(claims) == 50

    async with case.running():
        await case.clock.advance(T + 0.5 + 1)
        found = [await case.status(job_id) for job_id in ids]

    assert sorted(ran) == list(range(50))
    assert {(job.status, job.attempts, job.crashes) for job in found} == {(Status.COMPLETED, 2, 1)}


@pytest.mark.case("W10")
async def test_a_worker_that_wakes_after_its_leases_went_on_can_not_report_renew_or_finish(
    make_case: MakeCase, caplog: pytest.LogCaptureFixture
) -> None:
    case = make_case()
    awake = asyncio.Event()
    refused: list[LeaseLostError] = []
    cancelled: list[str] = []

    @case.registry.job()
    async def reports(ctx: JobContext) -> str:
        await awake.wait()
        try:
            await ctx.progress(1, 1)
        except LeaseLostError as lost:
            refused.append(lost)
            raise
        return "first worker"

    @case.registry.job()
    async def waits(ctx: JobContext) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(ctx.id)
            raise
        return "first worker"

    @case.registry.job()
    async def returns() -> str:
        await awake.wait()
        return "first worker"

    other = case.other()
    for job_type in (reports, waits, returns):

        @other.registry.job(name=job_type.name)
        async def finishes() -> str:
            return "second worker"

    async with case.running() as sleeper:
        ids = [await case.push(job_type.job()) for job_type in (reports, waits, returns)]
        await case.clock.rest()
        await stand_still(sleeper)
        async with other.running():
            await case.clock.advance(3 * T)
            caplog.clear()
            awake.set()
            await case.clock.rest()
            await sleeper._heartbeat.beat()
            await case.clock.rest()
        found = [await case.status(job_id) for job_id in ids]

    assert len(refused) == 1
    assert cancelled == [ids[1]]
    assert {(job.status, job.result, job.attempts) for job in found} == {
        (Status.COMPLETED, "second worker", 2)
    }
    assert [len(losses(caplog, job_id)) for job_id in ids] == [1, 1, 1]


@pytest.mark.case("W11")
async def test_a_finish_that_was_held_up_until_somebody_else_finished_is_refused_by_the_store(
    make_case: MakeCase,
) -> None:
    case = make_case()
    store, gate, sent = case.store, asyncio.Event(), asyncio.Event()

    class HeldUp:
        """Settlements pass the gate only when it is open, everything else at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def settle(self, settlements: Any) -> Any:
            sent.set()
            await gate.wait()
            return await store.settle(settlements)

    case.store = HeldUp()

    @case.registry.job(name="task")
    async def first() -> str:
        return "first worker"

    other = case.other()
    other.store = store

    @other.registry.job(name="task")
    async def second() -> str:
        return "second worker"

    async with case.running() as sleeper:
        job_id = await case.push(first.job())
        await case.clock.rest()
        assert sent.is_set()
        await stand_still(sleeper)
        async with other.running():
            await case.clock.advance(3 * T)
            gate.set()
            await case.clock.rest()
        status = await case.status(job_id)

    assert (status.status, status.result, status.attempts) == (Status.COMPLETED, "second worker", 2)
    assert (sleeper._finalizer.settled, sleeper._finalizer.lost) == (0, 1)


@pytest.mark.case("W12")
async def test_a_late_finish_is_accepted_as_long_as_nobody_took_the_lease_over(make_case: MakeCase) -> None:
    case = make_case()
    awake = asyncio.Event()

    @case.registry.job()
    async def task(ctx: JobContext) -> int:
        await awake.wait()
        return ctx.token

    async with case.running() as sleeper:
        job_id = await case.push(task.job())
        await case.clock.rest()
        await stand_still(sleeper)
        await case.clock.advance(10 * T)
        awake.set()
        await case.clock.rest()
        status = await case.status(job_id)

    assert (status.status, status.result, status.attempts, status.crashes) == (Status.COMPLETED, 1, 1, 0)


@pytest.mark.case("W12")
async def test_a_late_finish_is_refused_when_the_worker_itself_had_taken_the_lease_over(
    make_case: MakeCase,
) -> None:
    case = make_case()
    awake = asyncio.Event()

    @case.registry.job()
    async def task(ctx: JobContext) -> int:
        if ctx.token == 1:
            await awake.wait()
        return ctx.token

    async with case.running() as sleeper:
        job_id = await case.push(task.job())
        await case.clock.rest()
        await stand_still(sleeper)
        await case.clock.advance(10 * T)
        sleeper._agents.start("rescuer", sleeper._rescuer.run)
        await case.clock.rest()
        awake.set()
        sleeper._agents.start("watcher", sleeper._watcher.run)
        await case.clock.rest()
        status = await case.status(job_id)

    assert (status.status, status.attempts, status.crashes) == (Status.COMPLETED, 2, 1)
    assert status.result == 3  # the rescue had the second token


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
