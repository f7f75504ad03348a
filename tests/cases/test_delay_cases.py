"""J12: delays that are negative, endless or no number."""

import math
from typing import Any

import pytest

from aiojobs_engine.core.errors import RetryLater, Snooze
from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.retry import MAX_DELAY, GiveUp, Requeue, Retry
from aiojobs_engine.runtime.context import JobContext
from tests.cases.conftest import MakeCase


@pytest.mark.case("J12")
@pytest.mark.parametrize(
    "retry",
    [
        Retry.exponential(max_attempts=100_000, base=2, multiplier=10),
        Retry.exponential(max_attempts=100_000, base=1e300, multiplier=1e300, jitter=1),
        Retry.custom(lambda failures, error: 10**400),
        Retry.custom(lambda failures, error: math.inf),
        Retry.custom(lambda failures, error: Requeue(1e300)),
    ],
)
def test_a_delay_beyond_all_bounds_becomes_the_longest_one(retry: Retry) -> None:
    assert retry.decide(10_000, ValueError()) == Requeue(MAX_DELAY)


@pytest.mark.case("J12")
@pytest.mark.parametrize("answer", [-1, -math.inf, math.nan, Requeue(math.nan), Requeue(-(10**400))])
def test_a_delay_that_is_negative_or_no_number_becomes_none(answer: Any) -> None:
    assert Retry.custom(lambda failures, error: answer).decide(1, ValueError()) == Requeue(0.0)


def _exits(failures: int, error: BaseException) -> float:
    raise SystemExit(failures)


@pytest.mark.case("J12")
@pytest.mark.parametrize("policy", [lambda failures, error: "soon", lambda failures, error: [], _exits])
def test_a_policy_that_answers_nonsense_or_raises_gives_the_job_up(policy: Any) -> None:
    assert Retry.custom(policy).decide(1, ValueError()) == GiveUp("retry_policy")


@pytest.mark.case("J12")
@pytest.mark.parametrize(
    "signal, delay",
    [
        (Snooze(-5), 0),
        (Snooze(math.nan), 0),
        (RetryLater(-math.inf), 0),
        (Snooze(math.inf), MAX_DELAY),
        (RetryLater(10**400), MAX_DELAY),
    ],
    ids=str,
)
async def test_the_delay_that_a_handler_asks_for_is_kept_within_bounds(
    make_case: MakeCase, signal: BaseException, delay: float
) -> None:
    case = make_case()

    @case.registry.job(retry=Retry.fixed(3, 1))
    async def odd(ctx: JobContext) -> None:
        if not ctx.meta["seen"]:
            ctx.meta["seen"].append(signal)
            raise signal

    async with case.running():
        job_id = await case.push(odd.job(), meta={"seen": []})
        await case.clock.rest()
        (told,) = [event for event in await case.events(job_id) if isinstance(event, JobRetrying)][:1]

    assert told.due_at - told.at == delay * 1000
