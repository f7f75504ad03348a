"""W: workers that die, stand still or meet handlers that misbehave, in virtual time.

Where a case says kill, `tests/faults/test_worker_kills_cases.py` kills a real process.
"""

import asyncio
from typing import Any

import pytest

from aiojobs_engine.core.errors import LeaseLostError
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.worker import Worker
from tests.cases.conftest import MakeCase

T = 2.0
AGENTS = ("heartbeat", "guard", "rescuer", "promoter", "pruner", "watcher")


async def stand_still(worker: Worker) -> None:
    """Let the agents stop as those of a stopped process do; its handlers wait for what the test holds."""
    for agent in AGENTS:
        await worker._agents.stop(agent)


def losses(caplog: pytest.LogCaptureFixture, job_id: str) -> list[str]:
    return [message for message in caplog.messages if job_id in message and "was lost" in message]


@pytest.mark.case("W2")
async def test_jobs_that_were_claimed_by_a_dead_worker_all_run_again_at_the_price_of_one_crash(
    make_case: MakeCase,
) -> None:
    case = make_case()
    ran: list[int] = []

    @case.registry.job(retry=Retry.none())
    async def numbered(number: int) -> None:
        ran.append(number)

    await case.store.open()
    ids = [await case.push(numbered.job(number=number)) for number in range(50)]
    claims = await case.store.claim(Watch("dead", ("default",), (numbered.name,)), 50, T)
    assert len(claims) == 50

    async with case.running():
        await case.clock.advance(T + 0.5 + 1)
        found = [await case.status(job_id) for job_id in ids]

    assert sorted(ran) == list(range(50))
    assert {(job.status, job.attempts, job.crashes) for job in found} == {(Status.COMPLETED, 2, 1)}


@pytest.mark.case("W2")
async def test_jobs_that_a_dead_worker_had_claimed_ahead_and_never_begun_run_again_for_nothing(
    make_case: MakeCase,
) -> None:
    case = make_case()

    @case.registry.job(retry=Retry.none())
    async def numbered(number: int) -> None: ...

    await case.store.open()
    ids = [await case.push(numbered.job(number=number)) for number in range(50)]
    claims = await case.store.claim(Watch("dead", ("default",), (numbered.name,)), 50, T, 40)
    assert len(claims) == 50

    async with case.running():
        await case.clock.advance(T + 0.5 + 1)
        found = [await case.status(job_id) for job_id in ids]

    assert [(job.status, job.attempts, job.crashes) for job in found] == (
        [(Status.COMPLETED, 2, 1)] * 10 + [(Status.COMPLETED, 1, 0)] * 40
    )


@pytest.mark.case("W10")
async def test_a_worker_that_wakes_after_its_leases_went_on_can_not_report_renew_or_finish(
    make_case: MakeCase, caplog: pytest.LogCaptureFixture
) -> None:
    case = make_case()
    awake = asyncio.Event()
    refused: list[LeaseLostError] = []
    cancelled: list[str] = []

    @case.registry.job()
    async def reports(ctx: JobContext) -> str:
        await awake.wait()
        try:
            await ctx.progress(1, 1)
        except LeaseLostError as lost:
            refused.append(lost)
            raise
        return "first worker"

    @case.registry.job()
    async def waits(ctx: JobContext) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(ctx.id)
            raise
        return "first worker"

    @case.registry.job()
    async def returns() -> str:
        await awake.wait()
        return "first worker"

    other = case.other()
    for job_type in (reports, waits, returns):

        @other.registry.job(name=job_type.name)
        async def finishes() -> str:
            return "second worker"

    async with case.running() as sleeper:
        ids = [await case.push(job_type.job()) for job_type in (reports, waits, returns)]
        await case.clock.rest()
        await stand_still(sleeper)
        async with other.running():
            await case.clock.advance(3 * T)
            caplog.clear()
            awake.set()
            await case.clock.rest()
            await sleeper._heartbeat.beat()
            await case.clock.rest()
        found = [await case.status(job_id) for job_id in ids]

    assert len(refused) == 1
    assert cancelled == [ids[1]]
    assert {(job.status, job.result, job.attempts) for job in found} == {
        (Status.COMPLETED, "second worker", 2)
    }
    assert [len(losses(caplog, job_id)) for job_id in ids] == [1, 1, 1]


async def test_a_lease_counts_from_when_its_renewal_was_sent_however_late_the_answer_comes(
    make_case: MakeCase,
) -> None:
    case = make_case()
    store, ended = case.store, asyncio.Event()
    answered: list[bool] = []

    class LateAnswers:
        """The first renewal is answered late, the second never; everything else at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def extend(self, leases: Any, seconds: float) -> Any:
            if answered:
                await asyncio.Event().wait()
            answers = await store.extend(leases, seconds)
            if leases:
                await case.clock.sleep(0.7)
                answered.append(True)
            return answers

    case.store = LateAnswers()

    @case.registry.job()
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with case.running():
        await case.push(waits.job())
        await case.clock.advance(T / 3 + 0.75)
        assert (answered, ended.is_set()) == ([True], False)
        await case.clock.advance(T - 0.75 - 0.1)
        assert ended.is_set()
        case.store = store


@pytest.mark.case("W11")
async def test_a_finish_that_was_held_up_until_somebody_else_finished_is_refused_by_the_store(
    make_case: MakeCase,
) -> None:
    case = make_case()
    store, gate, sent = case.store, asyncio.Event(), asyncio.Event()

    class HeldUp:
        """Settlements pass the gate only when it is open, everything else at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def settle(self, settlements: Any) -> Any:
            sent.set()
            await gate.wait()
            return await store.settle(settlements)

    case.store = HeldUp()

    @case.registry.job(name="task")
    async def first() -> str:
        return "first worker"

    other = case.other()
    other.store = store

    @other.registry.job(name="task")
    async def second() -> str:
        return "second worker"

    async with case.running() as sleeper:
        job_id = await case.push(first.job())
        await case.clock.rest()
        assert sent.is_set()
        await stand_still(sleeper)
        async with other.running():
            await case.clock.advance(3 * T)
            gate.set()
            await case.clock.rest()
        status = await case.status(job_id)

    assert (status.status, status.result, status.attempts) == (Status.COMPLETED, "second worker", 2)
    assert (sleeper._finalizer.settled, sleeper._finalizer.lost) == (0, 1)


@pytest.mark.case("W12")
async def test_a_late_finish_is_accepted_as_long_as_nobody_took_the_lease_over(make_case: MakeCase) -> None:
    case = make_case()
    awake = asyncio.Event()

    @case.registry.job()
    async def task(ctx: JobContext) -> int:
        await awake.wait()
        return ctx.token

    async with case.running() as sleeper:
        job_id = await case.push(task.job())
        await case.clock.rest()
        await stand_still(sleeper)
        await case.clock.advance(10 * T)
        awake.set()
        await case.clock.rest()
        status = await case.status(job_id)

    assert (status.status, status.result, status.attempts, status.crashes) == (Status.COMPLETED, 1, 1, 0)


@pytest.mark.case("W12")
async def test_a_late_finish_is_refused_when_the_worker_itself_had_taken_the_lease_over(
    make_case: MakeCase,
) -> None:
    case = make_case()
    awake = asyncio.Event()

    @case.registry.job()
    async def task(ctx: JobContext) -> int:
        if ctx.token == 1:
            await awake.wait()
        return ctx.token

    async with case.running() as sleeper:
        job_id = await case.push(task.job())
        await case.clock.rest()
        await stand_still(sleeper)
        await case.clock.advance(10 * T)
        sleeper._agents.start("rescuer", sleeper._rescuer.run)
        await case.clock.rest()
        awake.set()
        sleeper._agents.start("watcher", sleeper._watcher.run)
        await case.clock.rest()
        status = await case.status(job_id)

    assert (status.status, status.attempts, status.crashes) == (Status.COMPLETED, 2, 1)
    assert status.result == 3  # the rescue had the second token
