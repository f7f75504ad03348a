"""Limits and fair queues as users declare and change them."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import Concurrency, ConfigError, Engine, JobContext, Rate
from aiojobs_engine.testing import TestEngine
from tests.flow.published import until_published


class Gauge:
    """How many handlers run at once, by key."""

    def __init__(self) -> None:
        self.now: Counter[object] = Counter()
        self.most: Counter[object] = Counter()

    async def run(self, key: object) -> None:
        self.now[key] += 1
        self.most[key] = max(self.most[key], self.now[key])
        for _ in range(20):
            await checkpoint()
        self.now[key] -= 1


def measured(engine: Engine, gauge: Gauge, name: str = "work", **options: Any) -> Any:
    @engine.job(name=name, **options)
    async def work(key: str = "", n: int = 0) -> None:
        del n
        await asyncio.gather(gauge.run(key), gauge.run("all"))

    return work


async def test_a_type_runs_no_more_than_its_concurrency(engine: Engine) -> None:
    gauge = Gauge()
    work = measured(engine, gauge, concurrency=3)

    async with engine.running():
        handles = await engine.dispatch_many(work.job(n=n) for n in range(60))
        await asyncio.gather(*[handle.result(timeout=30) for handle in handles])

    assert gauge.most["all"] == 3


async def test_each_key_has_its_own_concurrency(engine: Engine) -> None:
    gauge = Gauge()
    work = measured(engine, gauge, concurrency=Concurrency(2, by="key"))

    async with engine.running():
        handles = await engine.dispatch_many(work.job(f"k{n % 3}", n) for n in range(60))
        await asyncio.gather(*[handle.result(timeout=30) for handle in handles])

    assert {gauge.most[f"k{n}"] for n in range(3)} == {2}
    assert gauge.most["all"] > 2


async def test_a_queue_is_limited_by_the_configuration() -> None:
    gauge = Gauge()
    engine = Engine("memory://", config={"queues": {"default": {"concurrency": 2}}})
    works = [measured(engine, gauge, name) for name in ("one", "two")]

    async with engine.running():
        handles = await engine.dispatch_many(works[n % 2].job(n=n) for n in range(40))
        await asyncio.gather(*[handle.result(timeout=30) for handle in handles])

    assert gauge.most["all"] == 2


@pytest.mark.seed("DJ-130")
async def test_a_rate_lets_its_number_through_per_time() -> None:
    engine = Engine("memory://")
    work = measured(engine, Gauge(), rate_limit=Rate("10/s", burst=1))

    async with TestEngine(engine) as t:
        await engine.dispatch_many(work.job(n=n) for n in range(100))
        await t.advance(3)
        done = (await engine.queues.stats("default")).counts["completed"]

    assert 29 <= done <= 31


async def test_cost_weighs(engine: Engine) -> None:
    work = measured(engine, Gauge(), rate_limit=Rate("6/hour", sliding=True))

    async with engine.running():
        handles = await engine.dispatch_many(work.options(cost=3).job(n=n) for n in range(3))
        await asyncio.gather(*[handle.result(timeout=30) for handle in handles[:2]])
        (limit,) = (await engine.limits.list()).items

    assert limit.room == 0


async def test_the_desk_changes_limits_while_jobs_wait(engine: Engine) -> None:
    work = measured(engine, Gauge(), concurrency=5)
    async with engine.running():
        await engine.limits.set("default", type="work", concurrency=0)
        handle = await engine.dispatch(work, n=1)
        with pytest.raises(TimeoutError):
            await handle.result(timeout=0.1)
        limits = [limit async for limit in engine.limits.list()]
        await engine.limits.reset("default", type="work")

        await handle.result(timeout=10)

    assert [(limit.origin, limit.in_force, limit.concurrency) for limit in limits] == [
        ("code", False, 5),
        ("desk", True, 0),
    ]


async def test_limits_that_the_code_says_no_more_are_gone(engine: Engine) -> None:
    measured(engine, Gauge(), concurrency=Concurrency(1, by="key"))
    async with engine.running():
        await until_published(engine)
        store = engine.store
        later = Engine(backend=store)
        measured(later, Gauge())
        async with later.running():
            async with asyncio.timeout(10):
                while await store.limits():
                    await checkpoint()


async def test_a_dispatch_by_name_makes_the_key_that_workers_published(engine: Engine) -> None:
    measured(engine, Gauge(), concurrency=Concurrency(1, by="key"))
    async with engine.running():
        await until_published(engine)
        async with Engine(backend=engine.store) as other:
            handle = await other.dispatch("work", key="k7")
            (envelope,) = await engine.store.envelopes([handle.id])

    assert envelope is not None
    assert envelope.limit_key == "k7"


@pytest.mark.parametrize("fair_by", ["user_id", "key"])
async def test_a_flooding_key_does_not_hold_up_others(fair_by: str) -> None:
    order: list[str] = []
    engine = Engine(
        "memory://", config={"queues": {"default": {"fair_by": fair_by}}, "worker": {"concurrency": 1}}
    )

    @engine.job(name="work")
    async def work(ctx: JobContext, key: str) -> None:
        order.append(key)

    async with TestEngine(engine) as t:
        await engine.dispatch_many(work.options(user_id="flood").job(key="flood") for _ in range(500))
        await engine.dispatch_many(work.options(user_id=name).job(key=name) for name in ("a", "b"))
        await t.drain()

    assert {"a", "b"} <= set(order[:3])


async def test_weights_of_the_configuration_are_turns() -> None:
    order: list[str] = []
    queues = {"default": {"fair_by": "key", "weights": {"vip": 3}}}
    engine = Engine("memory://", config={"queues": queues, "worker": {"concurrency": 1}})

    @engine.job(name="work")
    async def work(key: str) -> None:
        order.append(key)

    async with TestEngine(engine) as t:
        await engine.dispatch_many(work.job(key=name) for _ in range(40) for name in ("vip", "a"))
        await t.drain()

    assert Counter(order[:20])["vip"] == 15


@pytest.mark.parametrize(
    "options, said",
    [
        ({"concurrency": -1}, "concurrency is wrong"),
        ({"concurrency": "2"}, "must be a limit or Concurrency"),
        ({"concurrency": Concurrency(1, by="ky")}, "by 'ky', no argument; did you mean 'key'"),
        ({"rate_limit": "100"}, "must be like '100/minute'"),
        ({"rate_limit": "0/s"}, "at least 1"),
        ({"rate_limit": "5/fortnight"}, "must be like"),
        ({"rate_limit": Rate("1/s", burst=3, sliding=True)}, "has no burst"),
        (
            {"rate_limit": Rate("1/s", by="key"), "concurrency": Concurrency(1, by="n")},
            "must be by the same arguments",
        ),
        ({"cost": 0}, "at least 1"),
        ({"fair_weight": 0}, "within 0.001"),
        ({"limit_key": "x" * 201}, "at most 200"),
    ],
)
def test_wrong_limits_are_refused_where_they_are_declared(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        measured(Engine("memory://"), Gauge(), **options)


async def test_the_desk_refuses_what_makes_no_sense(engine: Engine) -> None:
    async with engine:
        for wrong in ({}, {"by_key": True, "concurrency": 1}, {"rate_limit": "often"}):
            with pytest.raises(ConfigError):
                await engine.limits.set("default", **wrong)  # type: ignore[arg-type]
        assert [limit async for limit in engine.limits.list()] == []
