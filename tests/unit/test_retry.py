import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.retry import MAX_DELAY, GiveUp, Requeue, Retry, RetrySpec, clamped

ERROR = ValueError("no")
bases = st.floats(0, 10_000, allow_nan=False)
multipliers = st.floats(1, 10, allow_nan=False)
jitters = st.floats(0, 1, allow_nan=False)
caps = st.none() | st.floats(0, 10_000, allow_nan=False)
failures = st.integers(1, 10_000)


def _delay(retry: Retry, failed: int, rng: Random | None = None) -> float:
    decision = retry.decide(failed, ERROR, rng)
    assert isinstance(decision, Requeue)
    return decision.delay


@pytest.mark.seed("DJ-113", "DJ-114")
@given(bases, multipliers, jitters, caps, failures, st.integers())
def test_a_delay_is_never_negative_nor_above_the_cap(
    base: float, multiplier: float, jitter: float, cap: float | None, failed: int, seed: int
) -> None:
    retry = Retry.exponential(10_001, base, multiplier, cap, jitter)

    assert 0 <= _delay(retry, failed, Random(seed)) <= (MAX_DELAY if cap is None else cap)


@given(bases, multipliers, caps, st.integers(1, 9_999))
def test_without_jitter_no_delay_is_shorter_than_the_one_before(
    base: float, multiplier: float, cap: float | None, failed: int
) -> None:
    retry = Retry.exponential(10_001, base, multiplier, cap, jitter=0)

    assert _delay(retry, failed) <= _delay(retry, failed + 1)


@given(st.floats(0.001, 1000), jitters, st.integers())
def test_the_first_delay_is_the_base_within_the_jitter(base: float, jitter: float, seed: int) -> None:
    retry = Retry.exponential(3, base, 2, None, jitter)

    assert _delay(retry, 1, Random(seed)) == pytest.approx(base, rel=jitter + 1e-9)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_job_is_given_up_at_its_last_attempt_and_not_before(attempts: int, failed: int) -> None:
    decision = Retry.fixed(attempts, 1).decide(failed, ERROR)

    assert decision == (GiveUp("max_attempts") if failed >= attempts else Requeue(1.0))


@given(st.floats(), st.floats(0, MAX_DELAY))
def test_any_number_is_clamped_to_a_delay(delay: float, cap: float) -> None:
    assert 0 <= clamped(delay, cap) <= cap


@pytest.mark.seed("DJ-117")
@given(failures, st.integers())
def test_equal_seeds_give_equal_delays(failed: int, seed: int) -> None:
    retry = Retry.exponential(10_001, 2)

    assert _delay(retry, failed, Random(seed)) == _delay(retry, failed, Random(seed))


def test_the_schedule_doubles_up_to_its_cap() -> None:
    retry = Retry.exponential(6, base=2, cap=10)

    assert [_delay(retry, failed) for failed in range(1, 6)] == [2, 4, 8, 10, 10]


def test_failures_that_come_together_are_parted() -> None:
    retry, rng = Retry.exponential(3, 100), Random(1)
    delays = [_delay(retry, 1, rng) for _ in range(100)]

    assert len(set(delays)) == 100
    assert all(85 <= delay <= 115 for delay in delays)


def test_a_fixed_delay_is_not_jittered() -> None:
    assert _delay(Retry.fixed(3, 5), 2, Random(1)) == 5


def test_a_delay_without_a_cap_ends_at_a_year() -> None:
    assert _delay(Retry.exponential(10**6, 2, 10), 10**5) == MAX_DELAY


def test_none_gives_up_at_the_first_failure() -> None:
    assert Retry.none().decide(1, ERROR) == GiveUp("max_attempts")


def test_only_the_named_errors_are_retried() -> None:
    retry = Retry.fixed(3, 1, on=(OSError, LookupError))

    assert retry.decide(1, KeyError()) == Requeue(1)
    assert retry.decide(1, ERROR) == GiveUp("not_retryable")


def test_excluded_errors_are_not_retried_even_when_they_are_named() -> None:
    retry = Retry.fixed(3, 1, on=OSError, never_on=FileNotFoundError)

    assert retry.decide(1, PermissionError()) == Requeue(1)
    assert retry.decide(1, FileNotFoundError()) == GiveUp("not_retryable")


@pytest.mark.parametrize(
    "answer, decision",
    [
        (None, GiveUp("max_attempts")),
        (GiveUp("enough"), GiveUp("enough")),
        (7, Requeue(7)),
        (Requeue(3), Requeue(3)),
        (-1, Requeue(0)),
        (math.inf, Requeue(MAX_DELAY)),
        (Requeue(math.nan), Requeue(0)),
        ("soon", GiveUp("retry_policy")),
    ],
)
def test_a_custom_policy_decides(answer: Any, decision: Requeue | GiveUp) -> None:
    assert Retry.custom(lambda failed, error: answer).decide(1, ERROR) == decision


def test_a_custom_policy_learns_what_failed_and_how_often() -> None:
    asked: list[tuple[int, BaseException]] = []
    retry = Retry.custom(lambda failed, error: asked.append((failed, error)))

    retry.decide(4, ERROR)

    assert asked == [(4, ERROR)]
    assert retry.is_custom


def test_a_custom_policy_that_raises_gives_up() -> None:
    def decide(failed: int, error: BaseException) -> float:
        raise KeyError(failed)

    assert Retry.custom(decide).decide(1, ERROR) == GiveUp("retry_policy")


@pytest.mark.seed("DJ-115")
@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"base": -1},
        {"base": math.nan},
        {"base": math.inf},
        {"multiplier": 0.5},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"cap": -1},
        {"cap": math.nan},
    ],
    ids=str,
)
def test_a_number_out_of_range_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Retry(RetrySpec(**wrong))


def test_policies_that_decide_alike_are_equal() -> None:
    assert Retry.fixed(3, 1) == Retry.fixed(3, 1)
    assert hash(Retry.fixed(3, 1)) == hash(Retry.fixed(3, 1))
    assert Retry.fixed(3, 1) != Retry.fixed(3, 1, on=OSError)
    assert Retry.fixed(3, 1) != Retry.fixed(3, 2)
