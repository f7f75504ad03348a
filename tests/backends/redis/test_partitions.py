"""A queue that lies in several homes: what spreads its jobs, what stays exact, and what is refused."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from aiojobs_engine import Engine, Status
from aiojobs_engine.backends.redis import SpreadBackend, open_redis
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.gates import Limit
from aiojobs_engine.core.needs import BATCH
from aiojobs_engine.core.rates import RateLimit
from aiojobs_engine.core.uniqueness import UniqueKey
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.redis.homes_scene import homes, spread
from tests.servers.groups import Cluster
from tests.servers.server import Server

BOUND = 60
JOBS = 200


@pytest.fixture
async def stage(valkey_url: str) -> AsyncIterator[Stage]:
    async with homes(valkey_url, partitions={"default": 3}) as stage:
        yield stage


async def test_jobs_go_to_as_many_homes_as_there_are_partitions(stage: Stage) -> None:
    await stage.put(*[f"job-{number}" for number in range(JOBS)])
    await stage.put(*[f"other-{number}" for number in range(10)], queue="q1")

    held = await spread(stage)
    assert held[1] == 0
    assert held[0] - 10 > JOBS / 6 < min(held[2:])
    assert sum(held) == JOBS + 10


async def test_the_queue_keeps_its_one_name(stage: Stage) -> None:
    await stage.put(*[f"job-{number}" for number in range(JOBS)])

    assert await stage.backend.counts() == {("default", Status.PENDING): JOBS}
    (stats,) = await stage.backend.queues()
    assert (stats.name, dict(stats.counts)) == ("default", {"pending": JOBS})
    assert {job.queue for job in await stage.all_jobs()} == {"default"}
    await stage.backend.pause_queue("default")
    assert await stage.take(JOBS) == []
    await stage.backend.resume_queue("default")
    assert len({claim.envelope.id for claim in await stage.take(JOBS)}) == JOBS


async def test_a_repeated_dispatch_stores_nothing(stage: Stage) -> None:
    names = [f"{number:027x}" for number in range(JOBS)]
    await stage.put(*names)

    again = await stage.put(*names)

    assert not any(answer.created or answer.conflict for answer in again)
    assert sum(await spread(stage)) == JOBS


async def test_unique_keys_are_exact(stage: Stage) -> None:
    for turn in range(2):
        jobs = [
            stage.envelope(f"{turn:013x}{number:014x}", unique=UniqueKey(key=f"key-{number}"))
            for number in range(50)
        ]
        answers = await stage.backend.enqueue(jobs)
        assert [answer.created for answer in answers] == [turn == 0] * 50

    assert sum(await spread(stage)) == 50


async def test_limits_by_key_are_exact(stage: Stage) -> None:
    await stage.limit(type="work", by_key=True, concurrency=1)
    for number in range(100):
        await stage.put(f"job-{number}", limit_key=f"key-{number % 20}")

    for _ in range(5):
        claims = await stage.take(100)
        assert Counter(claim.envelope.limit_key for claim in claims) == {f"key-{n}": 1 for n in range(20)}
        for claim in claims:
            await stage.settle(claim, Status.COMPLETED)
    assert await stage.take(100) == []


@pytest.mark.parametrize(
    "limit",
    [
        Limit(queue="default", concurrency=5),
        Limit(queue="default", type="work", concurrency=5),
        Limit(queue="default", rate=RateLimit(1, 1000)),
        Limit(queue="default", max_pending=5),
    ],
    ids=["queue", "type", "rate", "bound"],
)
async def test_a_cap_on_all_jobs_is_refused(stage: Stage, limit: Limit) -> None:
    with pytest.raises(ConfigError, match="'default' is partitioned"):
        await stage.backend.set_limits([limit])

    assert await stage.backend.limits() == []


async def test_an_end_of_all_starts_holds_in_all_homes(stage: Stage) -> None:
    await stage.limit(closed_until=stage.after(60), origin="breaker")
    await stage.put(*[f"job-{number}" for number in range(30)])

    assert await stage.take() == []
    await stage.clock.advance(60)
    assert len(await stage.take()) == 30


async def test_a_job_with_two_keys_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="its queue 'default' is partitioned"):
        await stage.put("a", unique=UniqueKey(key="a"), limit_key="b")
    assert (await stage.put("a", queue="q1", unique=UniqueKey(key="a"), limit_key="b"))[0].created


@pytest.mark.parametrize("number, said", [(1, "1 home:"), (2, "2 homes:")])
def test_more_partitions_than_homes_are_refused(number: int, said: str) -> None:
    with pytest.raises(ConfigError, match=f"'mail' has 3 partitions and the store {said} put homes=3"):
        open_redis(f"redis://localhost?homes={number}", clock=SystemClock(), partitions={"mail": 3})


async def test_members_of_a_batch_stay_with_it(stage: Stage) -> None:
    batch = stage.envelope("all", kind=BATCH, queue="q1")
    await stage.backend.enqueue([batch, stage.envelope("first", parent_id="all")])
    await stage.put(*[f"job-{number}" for number in range(19)], parent_id="all")

    assert await spread(stage) == [21, 0, 0, 0]


async def test_an_engine_drains_a_queue_from_all_servers_of_a_cluster(cluster: Cluster, prefix: str) -> None:
    url, seen = f"{cluster.url}?prefix={prefix}&homes=3", Counter[int]()
    engine = Engine(url, config={"queues": {"mail": {"partitions": 3}}})

    @engine.job(queue="mail")
    async def send(number: int) -> None:
        seen[number] += 1

    async with asyncio.timeout(BOUND), engine:
        await engine.dispatch_many(send.job(number) for number in range(900))
        store = engine.store
        assert isinstance(store, SpreadBackend)
        held = [_has(node, [each.key_of("jobs") for each in store._stores]) for node in cluster.nodes]
        await engine.worker(burst=True).run()
        counts = await store.counts()

    assert seen == dict.fromkeys(range(900), 1)
    assert counts == {("mail", Status.COMPLETED): 900}
    assert held == [1, 1, 1]


def _has(node: Server, keys: list[str]) -> int:
    """How many of the keys a server of a Cluster has."""
    return len({bytes(key) for key in node.run("KEYS", "*")} & {key.encode() for key in keys})
