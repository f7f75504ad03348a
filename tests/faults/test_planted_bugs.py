"""The checker against twelve bugs of job engines, each planted behind a switch: it has to see every one.

`python benchmarks/planted.py` does the same with more seeds.
"""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from chaos.breach import Breach
from chaos.laws import breaches

from tests.faults.planted.bugs import BUGS, LAWFUL, Bug
from tests.faults.planted.ground import MemoryGround
from tests.faults.planted.inline import without_threads
from tests.faults.planted.redis_ground import PATCHES, Patch, RedisGround, planted
from tests.faults.planted.simulation import Simulation
from tests.servers.server import Server

SEEDS = (1, 2, 3)
"""Within which each bug has to be seen."""


@pytest.fixture(autouse=True)
def _without_threads() -> Iterator[None]:
    with without_threads():
        yield


Run = Callable[[int], Awaitable[set[str]]]


async def seeds_until(laws: frozenset[str], run: Run) -> int:
    """How many seeds it takes until one of the laws is broken; 0 when none of `SEEDS` is enough."""
    for number, seed in enumerate(SEEDS, 1):
        if laws & await run(seed):
            return number
    return 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
async def test_a_planted_bug_is_seen(bug: Bug, tmp_path: Path) -> None:
    async def run(seed: int) -> set[str]:
        history = await Simulation(seed, tmp_path, MemoryGround(bug.store), bug.client).run()
        return {breach.law for breach in breaches(history)}

    assert await seeds_until(bug.laws, run)


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_same_strikes_without_a_bug_break_no_law(seed: int, tmp_path: Path) -> None:
    history = await Simulation(seed, tmp_path, MemoryGround(), LAWFUL).run()

    assert breaches(history) == []
    assert {"kill", "stop", "lose"} <= {deed["what"] for deed in history.deeds}
    assert sum(job.crashes for job in history.jobs.values()) >= 5
    assert not all(call.accepted for call in history.calls)


async def on_redis(server: Server, prefix: str, seed: int, folder: Path) -> list[Breach]:
    home = folder / str(seed)
    home.mkdir()
    ground = RedisGround(server, f"{prefix}-{seed}", home)
    return breaches(await Simulation(seed, home, ground, LAWFUL).run())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("patch", PATCHES, ids=[patch.name for patch in PATCHES])
async def test_a_bug_planted_into_a_script_is_seen(
    patch: Patch, servers: dict[str, Server], prefix: str, tmp_path: Path
) -> None:
    async def run(seed: int) -> set[str]:
        return {breach.law for breach in await on_redis(servers["valkey"], prefix, seed, tmp_path)}

    with planted(patch):
        assert await seeds_until(frozenset({patch.law}), run)


@pytest.mark.timeout(240)
async def test_scripts_without_a_bug_break_no_law(
    servers: dict[str, Server], prefix: str, tmp_path: Path
) -> None:
    assert await on_redis(servers["valkey"], prefix, SEEDS[0], tmp_path) == []
