"""Workers killed with -9 while they emit: whoever follows the stream misses no event of a stored state."""

import asyncio
import os
import signal
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from aiojobs_engine import JobEvent
from aiojobs_engine.core.events import TERMINAL_EVENTS
from aiojobs_engine.core.state import FINAL
from tests.cases.invariants import check_store, every_event, every_job
from tests.faults.case_processes import Scene, case_app

KILLS = 3
JOBS = 600


@pytest.fixture(params=["sqlite", "redis"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    is_redis = request.param == "redis"
    return Scene(tmp_path, request.getfixturevalue("valkey_url") if is_redis else None)


@pytest.mark.timeout(180)
async def test_no_event_of_a_stored_state_is_missing_whenever_its_process_is_killed(scene: Scene) -> None:
    followed: list[JobEvent] = []
    ended = 0

    async def follow(start: str) -> None:
        nonlocal ended
        async for event in scene.engine.events(after=start):
            followed.append(event)
            ended += isinstance(event, TERMINAL_EVENTS)

    async with scene.engine:
        following = asyncio.get_running_loop().create_task(follow(await scene.store.tail()))
        job_ids = await scene.dispatch(case_app.sleeps, count=JOBS, seconds=0.02, later=0.02)
        try:
            for number in range(1, KILLS + 1):
                worker = scene.worker("-c", "4")
                bound = number * JOBS // (KILLS + 1)
                await scene.until(lambda bound=bound: ended >= bound, f"{bound} ends")  # type: ignore[misc]
                os.kill(worker.pid, signal.SIGKILL)
                worker.wait()
            scene.worker("-c", "4")
            await scene.until(lambda: ended >= JOBS, "all ends", bound=120)
        finally:
            scene.close()
        await check_store(scene.store)
        stored, jobs = await every_event(scene.store), await every_job(scene.store)
        await scene.until(lambda: len(followed) >= len(stored), "the follower at the end")
        following.cancel()
        await asyncio.wait([following])

    assert len(jobs) == JOBS == len(job_ids)
    assert followed == stored
    of_job: defaultdict[str, list[JobEvent]] = defaultdict(list)
    for event in stored:
        of_job[event.job_id].append(event)
    assert all(job.status in FINAL for job in jobs)
    assert {job.id: of_job[job.id][-1].status for job in jobs} == {job.id: job.status for job in jobs}
    lost = Counter(type(event).__name__ for event in stored)["LeaseLost"]
    assert lost >= 1, "no kill hit a running job, so this showed nothing"
