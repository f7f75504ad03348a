"""L9: agents of a worker that raise."""

import asyncio
from typing import Any

import pytest

from aiojobs_engine.core.errors import BackendError, BackendFull, BackendUnavailable
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.testing.faults import FaultyBackend
from tests.cases.conftest import MakeCase


class Broken:
    """A store of which some verbs raise what no store should."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.verbs: set[str] = set()
        self.raised = 0

    def __getattr__(self, name: str) -> Any:
        if name not in self.verbs:
            return getattr(self._store, name)

        async def raising(*args: Any, **options: Any) -> Any:
            self.raised += 1
            raise RuntimeError(f"{name} is broken")

        return raising


@pytest.mark.case("L9")
@pytest.mark.parametrize("verb", ["claim", "wait", "settle", "extend", "beat", "promote", "rescue", "prune"])
async def test_an_agent_that_raises_comes_back_later_and_later_and_shows_in_the_health(
    make_case: MakeCase, verb: str
) -> None:
    case = make_case()
    case.store = broken = Broken(case.store)

    @case.registry.job(retry=Retry.fixed(2, 1))
    async def second_time_lucky(ctx: JobContext) -> None:
        if ctx.attempt == 1:
            raise OSError("not yet")

    async with case.running() as worker:
        broken.verbs = {verb}
        await case.push(second_time_lucky.job())
        await case.clock.advance(90)
        raised, was_healthy = broken.raised, worker.is_healthy
        broken.verbs = set()
        status = await case.until_final(await case.push(second_time_lucky.job()), seconds=30)
        await case.clock.advance(61)
        assert worker.is_healthy

    assert 5 <= raised <= (500 if verb in ("extend", "beat") else 40)  # renewals are urgent
    assert not was_healthy
    assert status.status is Status.COMPLETED


@pytest.mark.case("L9")
async def test_a_store_that_can_not_be_reached_is_asked_again_by_every_agent(make_case: MakeCase) -> None:
    case = make_case()
    store = case.store
    case.store = faulty = FaultyBackend(store)

    @case.registry.job()
    async def simple() -> None: ...

    async with case.running() as worker:
        for verb in ("claim", "wait", "extend", "beat", "promote", "rescue", "prune", "settle"):
            faulty.fail(verb, times=5, after=verb == "settle")
        status = await case.until_final(await case.push(simple.job()), seconds=60)
        await case.clock.advance(130)
        assert worker.is_healthy

    assert (status.status, status.attempts) == (Status.COMPLETED, 1)
    assert faulty.cues_left == 0


class Hanging(Broken):
    """A store of which some verbs do not answer before it is let."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.answers = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        if name not in self.verbs:
            return getattr(self._store, name)

        async def hanging(*args: Any, **options: Any) -> Any:
            await self.answers.wait()
            return await getattr(self._store, name)(*args, **options)

        return hanging


@pytest.mark.case("L9")
@pytest.mark.parametrize("verb", ["extend", "beat"])
@pytest.mark.parametrize("how", ["raise", "hang"])
async def test_a_worker_whose_renewals_fail_ends_its_handlers_before_their_leases_do(
    make_case: MakeCase, verb: str, how: str
) -> None:
    case = make_case()
    case.store = broken = Broken(case.store) if how == "raise" else Hanging(case.store)
    began_at: list[float] = []
    cancelled_at: list[float] = []

    @case.registry.job(timeout=0)
    async def slow() -> None:
        began_at.append(case.clock.monotonic())
        try:
            await case.clock.sleep(1_000)
        finally:
            cancelled_at.append(case.clock.monotonic())

    async with case.running():
        await case.clock.advance(0.1)
        await case.push(slow.job())
        await case.clock.rest()
        broken.verbs = {verb}
        await case.clock.advance(5)
        broken.verbs = set()
        if isinstance(broken, Hanging):
            broken.answers.set()

    assert 0 < cancelled_at[0] - began_at[0] < 2.0


class Picky:
    """A store that can't take the end of some jobs, nor any batch that holds one of them."""

    def __init__(self, store: Any, error: Exception) -> None:
        self._store = store
        self._error = error
        self.refused: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def settle(self, settlements: Any) -> Any:
        if any(settlement.lease.job_id in self.refused for settlement in settlements):
            raise self._error
        return await self._store.settle(settlements)


@pytest.mark.case("L9")
@pytest.mark.parametrize("error", [BackendUnavailable("no"), BackendFull("no"), RuntimeError("no")], ids=repr)
async def test_an_outcome_that_the_store_can_not_take_holds_up_no_other(
    make_case: MakeCase, error: Exception
) -> None:
    case = make_case(concurrency=100, lease=1_000.0)
    case.store = picky = Picky(case.store, error)

    @case.registry.job()
    async def numbered(number: int) -> int:
        return number

    async with case.running() as worker:
        jobs = [numbered.job(number=number) for number in range(50)]
        picky.refused = {jobs[0].id, jobs[17].id}
        for job in jobs:
            await case.push(job)
        await case.clock.advance(10 if isinstance(error, BackendError) else 100)
        found = {job.id: await case.status(job.id) for job in jobs}
        picky.refused.clear()
        await case.clock.advance(10)
        after = [await case.status(job.id) for job in jobs]
        assert worker._finalizer.is_idle

    others = [job for job_id, job in found.items() if job_id not in (jobs[0].id, jobs[17].id)]
    assert {job.status for job in others} == {Status.COMPLETED}
    assert {job.status for job in after} == {Status.COMPLETED}
