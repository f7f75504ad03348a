"""W: real workers that are killed, stopped and told to end, on an SQLite file."""

import signal
import time
from datetime import date
from pathlib import Path

import anyio
import pytest

from aiojobs_engine.core.state import Status
from tests.faults.case_processes import BOUND, RESCUE, Scene, T, case_app, opened
from tests.servers.processes import is_alive


@pytest.mark.case("W1")
async def test_the_job_of_a_killed_worker_runs_again_within_lease_rescue_and_a_second(scene: Scene) -> None:
    (job_id,) = await scene.dispatch(case_app.sleeps, seconds=60)
    first = scene.worker()
    await scene.until(lambda: scene.log(job_id, "begin"), "the job runs")
    scene.worker()
    await scene.until_workers(2)
    (untouched,) = await scene.dispatch(case_app.sleeps.options(delay=3600))

    first.kill()
    killed_at = time.monotonic()
    status = await scene.until_status(job_id, Status.COMPLETED)

    begins = scene.log(job_id, "begin")
    assert begins[1].at - killed_at <= T + RESCUE + 1
    assert [begin.token for begin in begins] == [1, 3]  # the rescue had the second
    assert (status.result, status.attempts, status.crashes) == (3, 2, 1)
    assert "LeaseLost" in await scene.names(job_id)
    assert await scene.names(untouched) == ["JobCreated"]


@pytest.mark.case("W2")
async def test_fifty_jobs_whose_worker_was_killed_before_any_began_all_run_again(scene: Scene) -> None:
    ids = await scene.dispatch(case_app.sleeps, 50)
    first = scene.worker("-c", "50", CASE_STORE="DiesHavingClaimed")
    await scene.ended(first)
    assert scene.log() == []

    scene.worker("-c", "50")
    found = [await scene.until_status(job_id, Status.COMPLETED) for job_id in ids]

    assert {(job.attempts, job.crashes) for job in found} == {
        (2, 1)
    }  # no failure of their policy, which is none
    assert sorted(done.job_id for done in scene.log(what="end")) == sorted(ids)


@pytest.mark.case("W3")
async def test_a_worker_killed_between_handler_and_finalize_lets_the_handler_run_twice(scene: Scene) -> None:
    (job_id,) = await scene.dispatch(case_app.sleeps)
    first = scene.worker(CASE_AFTER_HANDLER="kill")
    await scene.ended(first)
    assert (await scene.status(job_id)).status is Status.PROCESSING

    scene.worker()
    status = await scene.until_status(job_id, Status.COMPLETED)

    assert [done.token for done in scene.log(job_id, "end")] == [1, 3]
    assert (status.attempts, status.crashes) == (2, 1)
    assert (await scene.names(job_id)).count("JobCompleted") == 1


@pytest.mark.case("W4")
async def test_a_worker_killed_after_its_finalize_was_stored_leaves_the_job_done_once(scene: Scene) -> None:
    (job_id,) = await scene.dispatch(case_app.sleeps)
    first = scene.worker(CASE_STORE="DiesHavingSettled")
    await scene.ended(first)
    assert (await scene.status(job_id)).status is Status.COMPLETED

    second = scene.worker("--burst")
    await scene.ended(second)

    assert len(scene.log(job_id, "begin")) == 1
    assert (await scene.status(job_id)).attempts == 1
    assert (await scene.names(job_id)) == ["JobCreated", "JobStarted", "JobCompleted"]


@pytest.mark.case("W6")
async def test_an_idle_worker_ends_within_a_second_of_sigterm_and_takes_its_row_along(scene: Scene) -> None:
    worker = scene.worker()
    await scene.until_workers(1)

    told_at = time.monotonic()
    worker.terminate()
    await scene.ended(worker)

    assert time.monotonic() - told_at <= 1.0
    assert worker.returncode == 0
    assert await scene.store.workers() == []


@pytest.mark.case("W7")
async def test_after_sigterm_nothing_begins_and_what_runs_may_end(scene: Scene) -> None:
    ids = await scene.dispatch(case_app.lingers, 6, seconds=1.0)
    worker = scene.worker("-c", "3")
    await scene.until(lambda: len(scene.log(what="begin")) == 3, "three jobs run")

    worker.terminate()
    await scene.ended(worker)

    assert worker.returncode == 0
    assert [len(scene.log(what=what)) for what in ("begin", "end", "cancelled")] == [3, 3, 0]
    statuses = [(await scene.status(job_id)).status for job_id in ids]
    assert statuses == [Status.COMPLETED] * 3 + [Status.PENDING] * 3


@pytest.mark.case("W8")
async def test_what_outlasts_the_grace_goes_back_at_once_and_does_not_hold_the_process(scene: Scene) -> None:
    (polite,) = await scene.dispatch(case_app.sleeps, seconds=60)
    (stubborn,) = await scene.dispatch(case_app.swallows)
    (thread,) = await scene.dispatch(case_app.hangs)
    worker = scene.worker("--drain-timeout", "1")
    await scene.until(lambda: len(scene.log(what="begin")) == 3, "three jobs run")

    worker.terminate()
    told_at = time.monotonic()
    await scene.until_status(polite, Status.PENDING, bound=1 + 1)
    released_at = time.monotonic()
    await scene.ended(worker)
    ended_at = time.monotonic()

    assert released_at - told_at >= 1.0
    assert ended_at - told_at <= 1 + 3
    assert worker.returncode == 0
    assert [len(scene.log(job_id, "cancelled")) for job_id in (polite, stubborn)] == [1, 2]
    for job_id in (polite, stubborn, thread):
        status = await scene.status(job_id)
        assert (status.status, status.attempts, status.crashes) == (Status.PENDING, 0, 0)


@pytest.mark.case("W9")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_hands_everything_back_within_two_seconds(scene: Scene, second: int) -> None:
    (job_id,) = await scene.dispatch(case_app.lingers, seconds=60)
    worker = scene.worker()
    await scene.until(lambda: scene.log(job_id, "begin"), "the job runs")

    worker.terminate()
    await scene.until(lambda: scene.log(job_id, "stopping"), "the first is heard: two that wait are one")
    worker.send_signal(second)
    told_at = time.monotonic()
    await scene.ended(worker)

    assert time.monotonic() - told_at <= 2.0
    assert worker.returncode == 0
    assert len(scene.log(job_id, "cancelled")) == 1
    assert ((await scene.status(job_id)).status, (await scene.status(job_id)).attempts) == (Status.PENDING, 0)


@pytest.mark.case("W10")
async def test_a_worker_that_stood_still_finds_its_job_taken_and_drops_it(scene: Scene) -> None:
    (job_id,) = await scene.dispatch(case_app.sleeps, seconds=60)
    sleeper = scene.worker("-c", "1")
    await scene.until(lambda: scene.log(job_id, "begin"), "the job runs")

    sleeper.send_signal(signal.SIGSTOP)
    scene.worker()
    status = await scene.until_status(job_id, Status.COMPLETED)
    sleeper.send_signal(signal.SIGCONT)
    await scene.until(lambda: scene.log(job_id, "cancelled"), "the first handler is cancelled")
    (later,) = await scene.dispatch(case_app.sleeps)
    await scene.until_status(later, Status.COMPLETED)
    sleeper.terminate()
    said = await scene.ended(sleeper)

    assert sleeper.returncode == 0
    assert [done.token for done in scene.log(job_id, "end")] == [3]
    assert (status.result, status.attempts, status.crashes) == (3, 2, 1)
    assert (await scene.names(job_id)).count("JobCompleted") == 1
    assert len([line for line in said.splitlines() if job_id in line and "was lost" in line]) == 1


@pytest.mark.case("W11")
async def test_the_store_refuses_a_finalize_that_was_held_up_whatever_was_checked_before(
    scene: Scene,
) -> None:
    (job_id,) = await scene.dispatch(case_app.sleeps)
    sleeper = scene.worker(CASE_STORE="StopsBeforeSettling")
    await scene.until(lambda: scene.log(job_id, "end"), "the handler has ended")

    scene.worker()
    status = await scene.until_status(job_id, Status.COMPLETED)
    sleeper.send_signal(signal.SIGCONT)
    sleeper.terminate()
    said = await scene.ended(sleeper)

    assert [done.token for done in scene.log(job_id, "end")] == [1, 3]
    assert (status.result, status.attempts, status.crashes) == (3, 2, 1)
    assert await scene.status(job_id) == status
    assert f"the lease of job {job_id} (token 1) was lost; its outcome counts nothing" in said


@pytest.mark.case("W12")
async def test_the_only_worker_that_stood_still_finishes_once_under_the_current_token(scene: Scene) -> None:
    lease = 0.3
    (job_id,) = await scene.dispatch(case_app.sleeps, seconds=10 * lease)
    worker = scene.worker(AIOJOBS_WORKER__LEASE=str(lease), AIOJOBS_WORKER__RESCUE_INTERVAL="0.1")
    (begin,) = await scene.until(lambda: scene.log(job_id, "begin"), "the job runs")

    worker.send_signal(signal.SIGSTOP)
    assert not scene.log(job_id, "end")
    await scene.until(lambda: time.monotonic() - begin.at > 10 * lease, "ten leases have passed")
    worker.send_signal(signal.SIGCONT)
    status = await scene.until_status(job_id, Status.COMPLETED)

    ends = [done.token for done in scene.log(job_id, "end")]
    assert status.result == 1 + 2 * status.crashes  # accepted if and only if the token was current
    assert status.result in ends
    assert status.attempts == 1 + status.crashes
    assert (await scene.names(job_id)).count("JobCompleted") == 1


@pytest.mark.case("W13", "W14")
async def test_a_job_that_takes_its_worker_along_is_buried_and_costs_few_workers(tmp_path: Path) -> None:
    buried: list[str] = []

    async def bury(how: str) -> None:
        folder = tmp_path / how.replace(" ", "_")
        folder.mkdir()
        async with opened(folder) as scene:
            await _buried(scene, how)
            buried.append(how)

    async with anyio.create_task_group() as together:
        for how in ("exit", "segfault", "killed for its memory"):
            together.start_soon(bury, how)

    assert len(buried) == 3


async def _buried(scene: Scene, how: str) -> None:
    (job_id,) = await scene.dispatch(case_app.poison, how=how)
    supervisor = scene.worker("-p", "1", AIOJOBS_WORKER__LEASE="1.5", AIOJOBS_WORKER__RESCUE_INTERVAL="0.2")

    status = await scene.until_status(job_id, Status.FAILED, bound=2 * BOUND)
    (healthy,) = await scene.dispatch(case_app.sleeps)
    await scene.until_status(healthy, Status.COMPLETED)
    supervisor.terminate()
    said = await scene.ended(supervisor)

    assert supervisor.returncode == 0
    assert (status.crashes, status.attempts) == (5, 5)
    assert status.error is not None
    assert (status.error.type, status.error.reason) == ("worker_lost", "crashed_worker")
    assert len(scene.log(job_id, "begin")) == 5
    assert said.count("the next one starts in") == 2  # from the third run on it runs alone
    assert [letter.id for letter in (await scene.engine.dead.list()).items] == [job_id]


@pytest.mark.case("L10")
async def test_a_process_that_ignores_sigterm_is_killed_at_the_deadline_of_its_job(
    scene: Scene, tmp_path: Path
) -> None:
    place = tmp_path / "pid"
    scene.worker()
    (first,) = await scene.dispatch(case_app.tomorrow, today=date(2026, 12, 31))
    await scene.until_status(first, Status.COMPLETED)  # its process stays, and starts no more

    (job_id,) = await scene.dispatch(case_app.deaf, place=str(place))
    pid = int(await scene.until(lambda: place.exists() and place.read_text(), "the process runs"))
    status = await scene.until_status(job_id, Status.FAILED)

    assert (status.attempts, status.crashes) == (1, 0)
    assert status.error is not None
    assert status.error.type == "timeout"
    await scene.until(lambda: not is_alive(pid), "the process is gone", bound=2)
