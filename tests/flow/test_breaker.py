"""Circuit breakers, alone and in a worker."""

from typing import Any

import pytest

from aiojobs_engine import Breaker, ConfigError, Engine, Retry, RetryLater, Status
from aiojobs_engine.core.breaker import Circuit
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.testing import TestEngine

NOW = Instant(1_000_000)


def test_it_opens_at_the_rate_and_not_before_enough_runs() -> None:
    circuit = Circuit(Breaker(failure_rate=0.5, min_runs=4, open_for=10))

    assert [circuit.saw(NOW, failed=failed) for failed in (True, True, False)] == [None] * 3
    assert circuit.saw(NOW, failed=False) == NOW + 10_000


def test_old_runs_count_no_more() -> None:
    circuit = Circuit(Breaker(failure_rate=0.5, min_runs=2, window=10))
    circuit.saw(NOW, failed=True)

    assert circuit.saw(Instant(NOW + 10_000), failed=True) is None
    assert circuit.saw(Instant(NOW + 10_001), failed=True) is not None


def test_probes_close_it_or_open_it_for_longer() -> None:
    circuit = Circuit(Breaker(probes=2, open_for=10))

    assert circuit.probed(NOW, failed=True) == NOW + 20_000
    assert circuit.probed(NOW, failed=True) == NOW + 40_000
    assert circuit.probed(NOW, failed=False) is False
    assert circuit.probed(NOW, failed=False) is True
    assert [circuit.probed(NOW, failed=True) for _ in range(9)][-1] == NOW + 320_000


@pytest.mark.seed("DJ-131")
async def test_a_worker_stops_runs_that_fail_and_goes_on_when_they_do_well() -> None:
    engine = Engine("memory://", config={"worker": {"concurrency": 1}})
    ran: list[float] = []
    state = {"is_down": True}

    @engine.job(name="call", retry=Retry.none(), breaker=Breaker(min_runs=5, open_for=60))
    async def call(n: int) -> None:
        ran.append(n)
        if state["is_down"]:
            raise OSError("down")

    async with TestEngine(engine) as t:
        await engine.dispatch_many(call.job(n=n) for n in range(300))
        await t.advance(1)
        stopped_after = len(ran)
        health = await engine.health()
        await t.advance(30)
        still = len(ran)
        state["is_down"] = False
        await t.advance(120)
        counts = await t.drain()
        limits = [limit async for limit in engine.limits.list()]

    assert 5 <= stopped_after < 300
    assert any("breaker of 'call'" in problem for problem in health.problems)
    assert still == stopped_after
    assert len(ran) == 300
    assert counts["completed"] == 300 - stopped_after
    assert limits == []


async def test_a_breaker_is_closed_by_hand() -> None:
    engine = Engine("memory://")

    @engine.job(name="call", retry=Retry.none(), breaker=Breaker(min_runs=1, failure_rate=1, open_for=3600))
    async def call(fails: int) -> None:
        if fails:
            raise OSError("down")

    async with TestEngine(engine) as t:
        await engine.dispatch(call, fails=1)
        await t.advance(1)
        later = await engine.dispatch(call, fails=0)
        await t.advance(1)
        (limit,) = (await engine.limits.list()).items
        assert (await later.status()).status is Status.PENDING
        await engine.limits.reset("default", type="call")
        await t.drain()

        assert limit.origin == "breaker"
        assert limit.closed_until is not None
        assert (await later.status()).status is Status.COMPLETED


@pytest.mark.parametrize("wrong", [{"failure_rate": 0}, {"failure_rate": 2}, {"min_runs": 0}, {"runs": 1}, 5])
def test_wrong_breakers_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="breaker"):
        Engine("memory://").job(name="call", breaker=wrong)(lambda: None)


async def test_a_retry_after_header_is_taken_as_it_came() -> None:
    engine = Engine("memory://")

    @engine.job(name="call", retry=Retry.fixed(5, 1))
    async def call(header: str) -> None:
        raise RetryLater(header)

    async with TestEngine(engine) as t:
        seconds = await engine.dispatch(call, header="120")
        at = t.clock.now()
        date = await engine.dispatch(call, header="Fri, 31 Dec 2100 23:59:59 GMT")
        await t.advance(1)

        first, second = await seconds.status(), await date.status()
        assert first.scheduled_at is not None
        assert second.scheduled_at is not None
        assert first.scheduled_at.timestamp() == pytest.approx(at / 1000 + 120, abs=2)
        assert second.scheduled_at.timestamp() > at / 1000 + 300 * 86_400


@pytest.mark.parametrize("header", ["soon", "-5", "", "1e9x"])
def test_a_wrong_header_is_refused(header: str) -> None:
    with pytest.raises(ConfigError, match="Retry-After"):
        RetryLater(header)
