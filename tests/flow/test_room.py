"""Bounded queues as users meet them."""

import asyncio

import pytest

from aiojobs_engine import ConfigError, Engine, QueueFull, Status
from tests.engine.tasks import begin, until

QUEUES = {"queues": {"default": {"max_pending": 2}}}


@pytest.fixture(params=["memory", "sqlite", "redis"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine on each store."""
    urls = {"memory": "memory://", "sqlite": "sqlite:///jobs.db"}
    return Engine(urls.get(request.param) or request.getfixturevalue("valkey_url"))


def working(engine: Engine) -> object:
    @engine.job(name="work")
    async def work(n: int) -> int:
        return n

    return work


async def test_a_full_queue_refuses_with_an_error_of_its_own(engine: Engine) -> None:
    working(engine)
    async with engine:
        await engine.limits.set("default", max_pending=2)
        await engine.dispatch("work", n=1)
        await engine.dispatch("work", n=2)
        with pytest.raises(QueueFull, match="'default' is full"):
            await engine.dispatch("work", n=3)
        with pytest.raises(QueueFull):
            await engine.dispatch_many(
                engine.named("work").options(queue="default").job(n=n) for n in range(2)
            )


async def test_a_dispatcher_waits_for_room_where_the_queue_says_so(engine: Engine) -> None:
    working(engine)
    async with engine:
        await engine.limits.set("default", max_pending=2, overflow="wait")
        sending = [begin(engine.dispatch("work", n=n)) for n in range(6)]
        await until(lambda: sum(task.done() for task in sending) == 2)
        done, waiting = await asyncio.wait(sending, timeout=0.3)
        assert (len(done), len(waiting)) == (2, 4)

        async with engine.running():
            handles = await asyncio.gather(*sending)
            assert sorted([await handle.result(timeout=10) for handle in handles]) == list(range(6))


async def test_dispatch_many_waits_for_room_too(engine: Engine) -> None:
    working(engine)
    async with engine.running():
        await engine.limits.set("default", max_pending=3, overflow="wait")
        jobs = [engine.registry.types["work"].job(n=n) for n in range(10)]
        handles = await engine.dispatch_many(jobs)

        assert all(handle.created for handle in handles)
        assert [await handle.result(timeout=10) for handle in handles] == list(range(10))


async def test_the_oldest_give_way_where_the_queue_says_so(engine: Engine) -> None:
    working(engine)
    async with engine:
        await engine.limits.set("default", max_pending=2, overflow="drop_oldest")
        handles = [await engine.dispatch("work", n=n) for n in range(4)]

        statuses = [(await handle.status()).status for handle in handles]
        assert statuses == [Status.DISCARDED] * 2 + [Status.PENDING] * 2


async def test_the_configuration_bounds_a_queue_when_a_worker_has_started() -> None:
    engine = Engine("memory://", config=QUEUES)
    working(engine)
    async with engine:
        await engine.worker(burst=True).run()
        (limit,) = (await engine.limits.list()).items

    assert (limit.max_pending, limit.overflow, limit.origin) == (2, "refuse", "code")


async def test_wrong_bounds_are_refused(engine: Engine) -> None:
    async with engine:
        for wrong in (
            {"max_pending": 0},
            {"max_pending": 1, "type": "work"},
            {"max_pending": 1, "overflow": "x"},
        ):
            with pytest.raises(ConfigError):
                await engine.limits.set("default", **wrong)  # type: ignore[arg-type]
