"""What earlier systems got wrong between a failure and the next run, in callbacks and in handlers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiojobs_engine import Engine, JobContext, PayloadError, Retry, Status
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.runtime.task_group import join, start
from aiojobs_engine.testing import ManualClock, TestEngine
from aiojobs_engine.testing.faults import FaultyBackend
from tests.flow.passing import passing


@pytest.mark.seed("DJ-46")
async def test_callbacks_of_callbacks_run_as_deep_as_they_are_written(engine: Engine) -> None:
    ran: list[int] = []

    @engine.job(name="step")
    async def step(number: int) -> None:
        ran.append(number)

    nested = step.job(number=9)
    for number in range(8, -1, -1):
        nested = step.job(number=number).then(nested)  # type: ignore[assignment]
    async with engine:
        await engine.dispatch(nested)
        await engine.worker(burst=True).run()

    assert ran == list(range(10))


@pytest.mark.seed("DJ-50")
async def test_what_wraps_a_handler_sees_its_failure_and_its_return(engine: Engine) -> None:
    told: list[object] = []

    @engine.middleware
    async def around(ctx: JobContext, call_next: Any) -> Any:
        told.append("before")
        try:
            result = await call_next()
        except ValueError:
            told.append("failed")
            raise
        finally:
            told.append("after")
        told.append(result)
        return result

    @engine.job(name="work", retry=Retry.none())
    async def work(fails: int) -> dict[str, int]:
        if fails:
            raise ValueError("no")
        return {"n": 1}

    async with engine:
        await engine.dispatch(work, fails=1)
        handle = await engine.dispatch(work, fails=0)
        await engine.worker(burst=True, concurrency=1).run()
        assert await handle.result(timeout=1) == {"n": 1}

    assert told == ["before", "failed", "after", "before", "after", {"n": 1}]


@pytest.mark.seed("DJ-57")
async def test_a_handler_of_ones_own_is_dispatched_without_any_other_declaration(engine: Engine) -> None:
    @engine.job(name="own")
    async def own(anything: dict[str, list[int]]) -> int:
        return sum(map(sum, anything.values()))

    async with engine:
        handle = await engine.dispatch(own, anything={"a": [1, 2], "b": [3]})
        await engine.worker(burst=True).run()
        assert await handle.result(timeout=1) == 6


@dataclass
class Line:
    article: str
    count: int = 1


@dataclass
class Order:
    number: int
    lines: list[Line]
    placed_at: datetime
    note: str | None = None
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.made = sum(line.count for line in self.lines)


@pytest.mark.seed("DJ-58")
async def test_nested_arguments_arrive_as_their_types_and_wrong_ones_are_named(engine: Engine) -> None:
    seen: list[Order] = []

    @engine.job(name="ship")
    async def ship(order: Order) -> None:
        seen.append(order)

    order = Order(7, [Line("apple", 2), Line("pear")], datetime(2026, 1, 1, tzinfo=UTC))
    async with engine:
        await engine.dispatch(ship, order=order)
        await engine.worker(burst=True).run()
        with pytest.raises(PayloadError, match="order"):
            await engine.dispatch("ship", order={"number": "seven", "lines": [], "placed_at": "2026-01-01"})

    assert seen == [order]
    assert (type(seen[0].lines[0]), seen[0].made) == (Line, 3)


@pytest.mark.seed("DJ-110")
@pytest.mark.parametrize("after", [False, True])
async def test_a_job_whose_last_end_could_not_be_stored_is_dead_with_its_error_and_not_lost(
    *, after: bool
) -> None:
    clock = ManualClock()
    store = FaultyBackend(MemoryBackend(clock=clock))
    engine = Engine(backend=store, clock=clock, config={"listeners": {"log": False}})

    @engine.job(name="work", retry=Retry.none())
    async def work() -> None:
        raise ValueError("the reason")

    async with engine, passing(clock, 0.5):
        handle = await engine.dispatch(work)
        store.fail("settle", times=3, after=after)
        worker = engine.worker()
        task = start(worker.run(), "worker")
        while (await handle.status()).status is not Status.FAILED:
            await clock.sleep(1)
        worker.stop()
        await join(task)

        (dead,) = (await engine.dead.list()).items
        assert dead.error is not None
        assert (dead.id, dead.error.message, dead.attempts) == (handle.id, "the reason", 1)


@pytest.mark.seed("DJ-111", "DJ-112", "DJ-116")
@pytest.mark.parametrize("attempts", [1, 2, 5])
@pytest.mark.parametrize("is_scheduled", [False, True])
async def test_a_failing_job_runs_as_often_as_its_policy_says_and_when_it_says(
    *, attempts: int, is_scheduled: bool
) -> None:
    engine = Engine("memory://", config={"listeners": {"log": False}})
    runs: list[tuple[int, datetime]] = []

    @engine.job(name="work", retry=Retry.exponential(attempts, base=2, jitter=0))
    async def work(ctx: JobContext) -> None:
        runs.append((ctx.attempt, datetime.fromtimestamp(t.clock.now() / 1000, UTC)))
        raise ValueError("no")

    async with TestEngine(engine) as t:
        begun = datetime.fromtimestamp(t.clock.now() / 1000, UTC)
        delay = 60.0 if is_scheduled else 0.0
        handle = await engine.dispatch(work.options(delay=delay) if delay else work)
        await t.advance(3600)
        status = await handle.status()

    waits = [
        timedelta(seconds=delay + sum(2.0**k for k in range(1, number))) for number in range(1, attempts + 1)
    ]
    assert [number for number, _ in runs] == list(range(1, attempts + 1))
    assert [at - begun for _, at in runs] == waits
    assert (status.status, status.attempts) == (Status.FAILED, attempts)
