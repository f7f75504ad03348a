"""A circuit breaker of real workers on every store."""

import asyncio
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import Breaker, Engine, Retry

BOUND = 30
JOBS = 60
FAILING = 20


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("valkey_url"))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"


@pytest.mark.seed("DJ-131")
async def test_it_stops_runs_that_fail_and_lets_all_go_on_behind_a_probe(url: str) -> None:
    engine = Engine(url, config={"worker": {"concurrency": 1}, "listeners": {"log": False}})
    ran: list[int] = []
    is_down = asyncio.Event()
    is_down.set()

    @engine.job(name="call", retry=Retry.none(), breaker=Breaker(min_runs=5, open_for=0.3))
    async def call(n: int) -> None:
        ran.append(n)
        if is_down.is_set():
            raise OSError("down")

    async def limits() -> list[str]:
        return [limit.origin async for limit in engine.limits.list()]

    async with asyncio.timeout(BOUND), engine.running():
        await engine.dispatch_many(call.job(n=n) for n in range(FAILING))
        while "breaker" not in await limits():
            await checkpoint()
        is_down.clear()
        await engine.dispatch_many(call.job(n=n) for n in range(FAILING, JOBS))
        counts: dict[str, int] = {}
        while counts.get("completed", 0) + counts.get("failed", 0) < JOBS or await limits():
            counts = (await engine.queues.stats("default")).counts
            await checkpoint()

    assert sorted(ran) == list(range(JOBS))
    assert 5 <= counts["failed"] <= FAILING
