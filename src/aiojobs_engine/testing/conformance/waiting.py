"""Waiting for work: a hint that must not be missed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Store, Watch
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import WATCH, Stage

HOUR = 3600.0
SOON = 30.0


class WaitContract(Contract):
    """`Backend.wait`."""

    async def test_waiting_ends_when_a_job_arrives(self, stage: Stage) -> None:
        async with _waiting(stage.backend) as waiter:
            await stage.clock.rest()
            await stage.put("a")

            assert await stage.ends_within(waiter, SOON)

    async def test_waiting_ends_at_once_when_work_is_there(self, stage: Stage) -> None:
        await stage.put("a")

        async with _waiting(stage.backend) as waiter:
            assert await stage.ends_within(waiter, SOON)

    async def test_waiting_ends_when_a_job_becomes_due(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.after(1))

        async with _waiting(stage.backend) as waiter:
            await stage.clock.advance(1)
            await stage.backend.promote(100)

            assert await stage.ends_within(waiter, SOON)

    async def test_waiting_ends_when_a_job_goes_back(self, stage: Stage) -> None:
        claim = await stage.start("a")

        async with _waiting(stage.backend) as waiter:
            await stage.clock.rest()
            await stage.settle(claim, Status.PENDING)

            assert await stage.ends_within(waiter, SOON)

    async def test_waiting_ends_when_a_paused_queue_is_resumed(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.backend.pause_queue("default")

        async with _waiting(stage.backend) as waiter:
            await stage.clock.rest()
            await stage.backend.resume_queue("default")

            assert await stage.ends_within(waiter, SOON)

    async def test_waiting_ends_with_its_timeout(self, stage: Stage) -> None:
        async with _waiting(stage.backend, timeout=5) as waiter:
            assert await stage.ends_within(waiter, 6)

    async def test_any_number_may_wait(self, stage: Stage) -> None:
        async with _waiting(stage.backend) as first, _waiting(stage.backend) as second:
            await stage.clock.rest()
            await stage.put("a")

            assert await stage.ends_within(first, SOON)
            assert await stage.ends_within(second, SOON)

    async def test_a_cancelled_wait_takes_nothing(self, stage: Stage) -> None:
        async with _waiting(stage.backend) as waiter:
            await stage.clock.rest()
            waiter.cancel()
            await stage.put("a")

        assert len(await stage.take()) == 1

    async def test_a_job_that_an_idle_worker_waited_for_comes_once(self, stage: Stage) -> None:
        await _has_worked(stage)

        async with _waiting(stage.backend, is_idle=True) as waiter:
            await stage.clock.rest()
            await stage.put("a")

            assert await stage.ends_within(waiter, SOON)
        (claim,) = await stage.take()
        assert (claim.envelope.id, claim.attempts) == ("a", 0)
        assert await stage.take() == await stage.take(worker="w2") == []
        assert await stage.settle(claim, Status.COMPLETED)

    async def test_a_worker_that_leaves_an_idle_wait_keeps_no_job(self, stage: Stage) -> None:
        await _has_worked(stage)

        async with _waiting(stage.backend, is_idle=True):
            await stage.clock.rest()
            await stage.put("a")
        await stage.backend.leave(WATCH.worker)

        (claim,) = await stage.take(worker="w2")
        assert (claim.envelope.id, claim.attempts, claim.crashes) == ("a", 0, 0)


async def _has_worked(stage: Stage) -> None:
    """Let the worker end a job and find no other."""
    await stage.settle(await stage.start("first"), Status.COMPLETED)
    assert await stage.take() == []


@asynccontextmanager
async def _waiting(
    backend: Store, watch: Watch = WATCH, timeout: float = HOUR, *, is_idle: bool = False
) -> AsyncGenerator["asyncio.Task[None]"]:
    waiter = asyncio.create_task(backend.wait(watch, timeout, is_idle=is_idle))
    try:
        yield waiter
    finally:
        waiter.cancel()
        await asyncio.wait([waiter])
