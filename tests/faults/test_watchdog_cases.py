"""L: real workers whose loop is blocked by a job, on an SQLite file and in memory."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from aiojobs_engine import Engine, JobContext, Retry
from aiojobs_engine.core.state import Status
from tests.faults.case_processes import BOUND, Scene, T, case_app
from tests.servers.server import Server

BLOCKED = 70


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.case("L1")
async def test_a_job_that_blocks_for_half_a_lease_is_named_with_its_line_and_keeps_its_lease(
    scene: Scene,
) -> None:
    worker = scene.worker(AIOJOBS_WORKER__LEASE=str(2 * T))
    await scene.until_workers(1)
    (job_id,) = await scene.dispatch(case_app.blocks, seconds=T)
    status = await scene.until_status(job_id, Status.COMPLETED)
    worker.terminate()
    said = await scene.ended(worker)

    assert (status.result, status.attempts, status.crashes) == (1, 1, 0)
    (named,) = [line for line in said.splitlines() if "has blocked the event loop" in line]
    assert f"job {job_id} (blocks, attempt 1)" in named
    assert "case_app.py:" in named
    assert "in blocks" in named
    assert "time.sleep(seconds)" in said
    assert "the event loop goes on after" in said


@pytest.mark.case("L3")
async def test_a_job_that_blocks_for_three_leases_keeps_its_lease_beside_a_worker_that_rescues(
    scene: Scene,
) -> None:
    lease = 1.5 * T  # a second more for a machine that is busy with other tests
    first = scene.worker(AIOJOBS_WORKER__LEASE=str(lease))
    await scene.until_workers(1)
    (job_id,) = await scene.dispatch(case_app.blocks, seconds=3 * lease)
    await scene.until(lambda: scene.log(job_id, "begin"), "the job runs")
    second = scene.worker(AIOJOBS_WORKER__LEASE=str(lease))
    status = await scene.until_status(job_id, Status.COMPLETED)
    for worker in (first, second):
        worker.terminate()
        await scene.ended(worker)

    assert (status.result, status.attempts, status.crashes) == (1, 1, 0)
    assert [done.what for done in scene.log(job_id)] == ["begin", "end"]
    assert "LeaseLost" not in await scene.names(job_id)


@pytest.mark.case("L2")
async def test_a_process_whose_loop_never_comes_back_ends_past_the_timeout_of_the_job(scene: Scene) -> None:
    other = scene.worker("-q", "elsewhere")
    await scene.until_workers(1)
    worker = scene.worker()
    (job_id,) = await scene.dispatch(case_app.spins.options(timeout=3 * T))
    begun = await scene.until(lambda: scene.log(job_id, "begin"), "the job runs")
    said = await scene.ended(worker)
    lived = time.monotonic() - begun[0].at
    status = await scene.until_status(job_id, Status.PENDING)
    other.terminate()
    await scene.ended(other)

    assert worker.returncode == BLOCKED
    assert lived >= 3 * T
    assert f"job {job_id} (spins, attempt 1) has blocked the event loop" in said
    assert "past the timeout of job" in said
    assert (status.attempts, status.crashes) == (1, 1)
    assert len(scene.log(job_id)) == 1


@pytest.mark.case("L2")
async def test_a_job_that_blocks_each_time_is_dead_in_the_end(scene: Scene) -> None:
    worker = scene.worker("-p", "1")
    (job_id,) = await scene.dispatch(case_app.spins.options(timeout=1, max_crashes=2))
    status = await scene.until_status(job_id, Status.FAILED)
    worker.terminate()
    said = await scene.ended(worker)

    assert status.error is not None
    assert status.error.reason == "crashed_worker"
    assert status.crashes == 2
    assert f"ended with exit code {BLOCKED}" in said


@pytest.mark.case("L4")
async def test_a_handler_that_ignores_its_cancel_takes_no_processor_and_gives_its_slot_to_others(
    scene: Scene,
) -> None:
    worker = scene.worker("-c", "1")
    (stubborn,) = await scene.dispatch(case_app.swallows.options(timeout=1))
    (following,) = await scene.dispatch(case_app.sleeps)
    await scene.until_status(stubborn, Status.FAILED)
    await scene.until_status(following, Status.COMPLETED)
    before, began_at = cpu_seconds(worker.pid), time.monotonic()
    await asyncio.sleep(1)
    used = (cpu_seconds(worker.pid) - before) / (time.monotonic() - began_at)
    worker.send_signal(signal.SIGTERM)
    said = await scene.ended(worker)

    assert used < 0.2
    assert "ignores that it was cancelled" in said
    assert worker.returncode == 0
    assert len(scene.log(stubborn, "cancelled")) >= 2


@pytest.mark.case("L3")
@pytest.mark.parametrize("store", ["memory://", "sqlite:///{}/jobs.db"])
async def test_embedded_too_a_blocking_job_keeps_its_lease(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = {"lease": 0.5, "rescue_interval": 0.1}
    engine = Engine(store.format(tmp_path), config={"worker": worker})

    @engine.job(name="blocking", timeout=0, retry=Retry.none())
    async def blocking(ctx: JobContext) -> int:
        time.sleep(2)
        return ctx.token

    async with engine.running():
        handle = await engine.dispatch(blocking)
        assert await handle.result(timeout=BOUND) == 1
        status = await handle.status()

    assert (status.attempts, status.crashes) == (1, 0)
    assert f"job {handle.id} (blocking, attempt 1) has blocked the event loop" in caplog.text


@pytest.mark.case("L3")
async def test_on_redis_a_blocking_job_keeps_its_lease_beside_a_worker_that_rescues(
    servers: dict[str, Server], prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{next(iter(servers.values())).url}?prefix={prefix}"
    config = {"worker": {"lease": 1.5 * T, "rescue_interval": 0.1}}
    engine, other = Engine(url, config=config), Engine(url, config=config)

    @engine.job(name="blocking", retry=Retry.none())
    async def blocking(ctx: JobContext) -> int:
        time.sleep(4 * T)
        return ctx.token

    @other.job(name="something_else")
    async def something_else() -> None: ...

    is_over = threading.Event()

    async def rescue() -> None:
        async with other.running():
            await asyncio.to_thread(is_over.wait)

    rescuer = threading.Thread(target=asyncio.run, args=(rescue(),))
    rescuer.start()
    try:
        async with engine.running():
            handle = await engine.dispatch(blocking)
            assert await handle.result(timeout=BOUND) == 1
            status = await handle.status()
    finally:
        is_over.set()
        rescuer.join()

    assert (status.attempts, status.crashes) == (1, 0)
    assert f"job {handle.id} (blocking, attempt 1) has blocked the event loop" in caplog.text


async def test_embedded_a_process_is_never_ended_but_leases_are_left_to_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"worker": {"lease": 0.5, "rescue_interval": 0.1, "cancel_timeout": 0.1}}
    engine = Engine(f"sqlite:///{tmp_path}/jobs.db", config=config)

    @engine.job(name="blocking", timeout=0.5, retry=Retry.none())
    async def blocking(ctx: JobContext) -> int:
        time.sleep(3)
        return ctx.token

    async with engine.running():
        handle = await engine.dispatch(blocking)
        assert await handle.result(timeout=BOUND) == 1  # nobody else was there to take it over

    assert f"blocked past the timeout of job {handle.id}; leases are renewed no more" in caplog.text


@pytest.mark.case("E3")
async def test_what_blocks_without_being_a_job_is_named_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine("memory://")

    @engine.job(name="quick")
    async def quick() -> None: ...

    @engine.on()
    async def slow(event: object) -> None:
        time.sleep(1.5)

    async with engine.running():
        await (await engine.dispatch(quick)).result(timeout=BOUND)

    assert "something that is no job has blocked the event loop" in caplog.text
    assert "test_watchdog_cases.py:" in caplog.text
