"""What a handler does, and what becomes of its job."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from aiojobs_engine.core.errors import Discard, RetryLater, Snooze
from aiojobs_engine.core.retry import GiveUp, Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.context import JobContext, Middleware, current_job
from tests.runtime.world import World


async def test_a_handler_that_returns_completes_its_job_with_the_result_kept() -> None:
    world = World()

    @world.registry.job()
    async def double(number: int) -> int:
        return number * 2

    async with world.running():
        status = await world.until_final(await world.push(double.job(number=21)))

    assert (status.status, status.result, status.attempts) == (Status.COMPLETED, 42, 1)
    assert await world.names(status.id) == ["JobCreated", "JobStarted", "JobCompleted"]


async def test_a_failing_handler_runs_again_after_each_delay_of_its_policy_and_then_fails() -> None:
    world = World()
    started: list[int] = []

    @world.registry.job(retry=Retry.exponential(max_attempts=3, base=10, multiplier=3, jitter=0))
    async def broken() -> None:
        started.append(world.clock.now())
        raise ValueError("no such account")

    async with world.running():
        status = await world.until_final(await world.push(broken.job()))

    assert status.status is Status.FAILED
    assert status.attempts == 3
    assert [(b - a) / 1000 for a, b in pairwise(started)] == [10, 30]
    assert status.error is not None
    assert (status.error.type, status.error.message, status.error.reason) == (
        "ValueError",
        "no such account",
        "max_attempts",
    )
    first, place, line, last = status.error.traceback.splitlines()
    assert first == "Traceback (most recent call last):"
    assert f'"{__file__}"' in place  # the engine's own frames are left out
    assert (line.strip(), last) == ('raise ValueError("no such account")', "ValueError: no such account")


async def test_classes_that_are_never_retried_end_the_job_at_once() -> None:
    world = World()

    @world.registry.job(retry=Retry.fixed(5, 1, never_on=LookupError))
    async def broken() -> None:
        raise KeyError("gone")

    async with world.running():
        status = await world.until_final(await world.push(broken.job()))

    assert (status.status, status.attempts) == (Status.FAILED, 1)
    assert status.error is not None
    assert status.error.reason == "not_retryable"


async def test_a_custom_policy_sees_how_often_the_job_failed() -> None:
    world = World()
    seen: list[int] = []

    def decide(failures: int, error: BaseException) -> float | GiveUp:
        seen.append(failures)
        return 5.0 if failures < 3 else GiveUp("enough")

    @world.registry.job(retry=Retry.custom(decide))
    async def broken() -> None:
        raise OSError("down")

    async with world.running():
        status = await world.until_final(await world.push(broken.job()))

    assert seen == [1, 2, 3]
    assert status.error is not None
    assert status.error.reason == "enough"


async def test_a_snoozing_job_runs_again_later_and_no_attempt_is_counted() -> None:
    world = World()
    seen: list[int] = []

    @world.registry.job(retry=Retry.none())
    async def patient(ctx: JobContext) -> None:
        seen.append(ctx.attempt)
        if len(seen) < 4:
            raise Snooze(30)

    async with world.running():
        status = await world.until_final(await world.push(patient.job()))

    assert seen == [1, 1, 1, 1]
    assert (status.status, status.attempts) == (Status.COMPLETED, 1)


async def test_a_discarded_job_ends_without_retry_and_tells_why() -> None:
    world = World()

    @world.registry.job()
    async def doubtful() -> None:
        with contextlib.suppress(Exception):  # a broad except lets the signal pass
            raise Discard("the account was closed")

    async with world.running():
        status = await world.until_final(await world.push(doubtful.job()))

    assert (status.status, status.attempts) == (Status.DISCARDED, 1)
    assert status.error is not None
    assert status.error.message == "the account was closed"


async def test_retry_later_counts_an_attempt_and_sets_its_own_delay() -> None:
    world = World()
    started: list[int] = []

    @world.registry.job(retry=Retry.fixed(3, 1))
    async def limited(ctx: JobContext) -> None:
        started.append(world.clock.now())
        if ctx.attempt == 1:
            raise RetryLater(120)

    async with world.running():
        status = await world.until_final(await world.push(limited.job()))

    assert (status.status, status.attempts) == (Status.COMPLETED, 2)
    assert (started[1] - started[0]) / 1000 == 120


async def test_the_first_signal_inside_exception_groups_counts() -> None:
    world = World()

    @world.registry.job()
    async def grouped() -> None:
        raise BaseExceptionGroup(
            "together", [ValueError("a"), BaseExceptionGroup("inner", [Discard("enough")]), Snooze(60)]
        )

    async with world.running():
        status = await world.until_final(await world.push(grouped.job()))

    assert status.status is Status.DISCARDED


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()]
)
async def test_whatever_a_handler_raises_fails_its_attempt_and_not_the_worker(error: BaseException) -> None:
    world = World()

    @world.registry.job(retry=Retry.none())
    async def rude() -> None:
        raise error

    @world.registry.job()
    async def polite() -> None: ...

    async with world.running():
        first = await world.until_final(await world.push(rude.job()))
        second = await world.until_final(await world.push(polite.job()))

    assert first.status is Status.FAILED
    assert first.error is not None
    assert first.error.type.endswith(type(error).__name__)
    assert second.status is Status.COMPLETED


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def test_an_error_whose_text_can_not_be_made_still_ends_its_job() -> None:
    world = World()

    @world.registry.job(retry=Retry.none())
    async def broken() -> None:
        raise Unspeakable

    async with world.running():
        status = await world.until_final(await world.push(broken.job()))

    assert status.status is Status.FAILED
    assert status.error is not None
    assert status.error.type.endswith("Unspeakable")


async def test_an_error_text_of_any_size_and_encoding_is_stored_within_its_bound() -> None:
    world = World()

    @world.registry.job(retry=Retry.none())
    async def broken() -> None:
        raise ValueError("\ud800" + "x" * 10_000_000 + "\0end")

    async with world.running():
        status = await world.until_final(await world.push(broken.job()))

    assert status.error is not None
    assert len(status.error.message) <= 16 * 1024
    assert status.error.message.endswith("\\0end")


@pytest.mark.parametrize("result", [object(), float("nan"), "x" * 1_000_000])
async def test_a_result_that_can_not_be_stored_completes_the_job_and_says_so(result: object) -> None:
    world = World()

    @world.registry.job()
    async def odd() -> object:
        return result

    async with world.running():
        status = await world.until_final(await world.push(odd.job()))

    assert (status.status, status.result) == (Status.COMPLETED, None)
    assert status.error is not None
    assert status.error.type == "result_error"


async def test_stored_arguments_that_no_longer_fit_the_handler_fail_without_retry() -> None:
    world = World()

    @world.registry.job()
    async def changed(number: int) -> None: ...

    job = changed.job(number=1)
    stale = type(job)(id=job.id, type=job.type, kind="job", payload=b'{"word":"one"}', options={})
    async with world.running():
        status = await world.until_final(await world.push(stale))

    assert (status.status, status.attempts) == (Status.FAILED, 1)
    assert status.error is not None
    assert status.error.reason == "payload"


async def test_a_plain_function_runs_in_a_thread_that_knows_its_job() -> None:
    world = World()

    @world.registry.job()
    def blocking(word: str) -> str:
        return f"{word} {current_job().attempt}"

    async with world.running():
        job_id = await world.push(blocking.job(word="run"))
        status = await world.until_real(job_id, Status.COMPLETED)

    assert status.result == "run 1"


async def test_a_job_sees_its_own_facts() -> None:
    world = World()
    seen: dict[str, object] = {}

    @world.registry.job()
    async def curious(ctx: JobContext) -> None:
        seen.update(
            id=ctx.id,
            user=ctx.user_id,
            meta=dict(ctx.meta),
            tags=ctx.tags,
            token=ctx.token,
            key=ctx.idempotency_key,
        )
        assert current_job() is ctx

    async with world.running():
        job_id = await world.push(curious.job(), user_id=7, meta={"page": 2}, tags=("nightly",))
        status = await world.until_final(job_id)

    assert status.status is Status.COMPLETED
    assert seen == {
        "id": job_id,
        "user": 7,
        "meta": {"page": 2},
        "tags": ("nightly",),
        "token": 1,
        "key": job_id,
    }


async def test_middleware_wraps_the_handler_from_the_outside_in() -> None:
    world = World()
    seen: list[str] = []

    def layer(name: str) -> Middleware:
        async def around(ctx: JobContext, call_next: Callable[[], Awaitable[Any]]) -> Any:
            seen.append(f"{name} before")
            value = await call_next()
            seen.append(f"{name} after")
            return value + 1

        return around

    @world.registry.job()
    async def one() -> int:
        seen.append("handler")
        return 1

    world.middleware = (layer("outer"), layer("inner"))
    async with world.running():
        status = await world.until_final(await world.push(one.job()))

    assert seen == ["outer before", "inner before", "handler", "inner after", "outer after"]
    assert status.result == 3


async def test_a_retry_of_less_than_a_second_comes_when_it_is_due() -> None:
    world = World()
    started: list[float] = []

    @world.registry.job(retry=Retry.fixed(2, 0.1))
    async def broken() -> None:
        started.append(world.clock.monotonic())
        raise ValueError("again")

    async with world.running():
        await world.until_final(await world.push(broken.job()), step=0.01)

    assert 0.1 <= started[1] - started[0] <= 0.13
