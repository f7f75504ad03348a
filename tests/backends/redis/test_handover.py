"""A new job goes to a worker that waits with nothing to do, without a claim of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.core.events import JobCompleted, JobCreated, JobEvent, JobInterrupted, JobStarted
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import WATCH, Stage
from tests.servers.fixtures import documented_rule, narrow
from tests.servers.server import Server

WORKER = WATCH.worker


class Waiter:
    """A worker that has claimed before and waits with nothing to do; others dispatch."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock()
        self.backend: Any = RedisBackend(read_address(url), clock=self.clock, stamps=self.clock)
        self.stage = Stage(RedisBackend(read_address(url), clock=self.clock, stamps=self.clock), self.clock)
        self.told: list[JobEvent] = []
        self.told_there: list[JobEvent] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Store and end one job, so that the lane is known."""
        await self.backend.open()
        await self.stage.backend.open()
        self.backend.tap(self.told.extend)
        self.stage.backend.tap(self.told_there.extend)
        await self.stage.put("first")
        (claim,) = await self.claim()
        await self.backend.settle([self.stage.settlement(claim, Status.COMPLETED)])
        assert await self.claim() == []
        self.told.clear()
        self.told_there.clear()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.backend.close()
        await self.stage.backend.close()

    async def claim(self) -> list[Claim]:
        claims: list[Claim] = await self.backend.claim(WATCH, 10, 30.0)
        return claims

    async def wait(self) -> None:
        """Begin to wait, until the server knows of it."""
        self._task = start(self.backend.wait(WATCH, 60.0, is_idle=True), "waiting")
        while not await self.is_known():
            pass

    async def is_known(self) -> bool:
        client = self.backend.client
        key = f"{client.address.prefix}:{{{client.address.prefix}}}:waiting"
        return bool(await client.command("HGET", key, WORKER))

    async def is_woken(self) -> bool:
        assert self._task is not None
        return await self.stage.ends_within(self._task, 1)

    async def cancel(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    def stop_hearing(self) -> None:
        """Let no message arrive."""
        self.backend._home.bell._wire._transport.pause_reading()

    def hear(self) -> None:
        """Let messages arrive again."""
        self.backend._home.bell._wire._transport.resume_reading()

    async def work_off(self, job_id: str) -> None:
        """Be handed a job, and end it."""
        await self.wait()
        await self.stage.put(job_id)
        assert await self.is_woken()
        (claim,) = await self.claim()
        await self.backend.settle([self.stage.settlement(claim, Status.COMPLETED)])

    async def worker_of(self, job_id: str) -> str | None:
        (status,) = await self.stage.backend.get([job_id])
        return None if status is None else status.worker


@asynccontextmanager
async def waiting_at(url: str) -> AsyncIterator[Waiter]:
    waiter = Waiter(url)
    await waiter.open()
    yield waiter
    await waiter.close()


@pytest.fixture
async def waiter(valkey_url: str) -> AsyncIterator[Waiter]:
    async with waiting_at(valkey_url) as waiter:
        yield waiter


def names(events: list[JobEvent]) -> list[type[JobEvent]]:
    return [type(event) for event in events]


async def test_an_idle_worker_is_handed_a_new_job_and_sends_no_claim(waiter: Waiter) -> None:
    await waiter.wait()
    await waiter.stage.put("job", meta={"of": "shop"})
    assert await waiter.is_woken()
    assert await waiter.worker_of("job") == WORKER
    sent = waiter.backend.client.commands

    (claim,) = await waiter.claim()

    assert waiter.backend.client.commands == sent
    assert (claim.lease.token, claim.attempts, claim.envelope.id, claim.envelope.meta) == (
        1,
        0,
        "job",
        {"of": "shop"},
    )
    assert await waiter.backend.settle([waiter.stage.settlement(claim, Status.COMPLETED)]) == [True]
    assert await waiter.claim() == []


async def test_the_user_of_the_docs_may_hand_over(servers: dict[str, Server], prefix: str) -> None:
    async with waiting_at(narrow(documented_rule(), servers["valkey"], prefix)) as waiter:
        await waiter.wait()
        await waiter.stage.put("job")
        assert await waiter.is_woken()
        assert await waiter.worker_of("job") == WORKER


async def test_each_process_hears_of_what_it_did(waiter: Waiter) -> None:
    await waiter.work_off("job")

    assert names(waiter.told_there) == [JobCreated]
    assert names(waiter.told) == [JobStarted, JobCompleted]
    stored, _ = await waiter.stage.backend.read(None, 100)
    assert stored[3:] == [*waiter.told_there, *waiter.told]


async def test_who_wants_no_event_of_a_start_is_sent_none(waiter: Waiter) -> None:
    waiter.backend.tap(waiter.told.extend, None, (JobCompleted,))
    await waiter.work_off("job")

    assert names(waiter.told) == [JobCompleted]


async def test_what_was_sent_and_did_not_come_is_found_by_the_next_claim(waiter: Waiter) -> None:
    await waiter.wait()
    waiter.stop_hearing()
    await waiter.stage.put("job")
    assert await waiter.worker_of("job") == WORKER
    await waiter.clock.advance(60)
    assert await waiter.is_woken()

    (claim,) = await waiter.claim()

    assert (claim.lease.token, claim.envelope.id) == (1, "job")
    assert await waiter.backend.settle([waiter.stage.settlement(claim, Status.COMPLETED)]) == [True]


async def test_a_claim_on_its_way_and_the_message_bring_a_job_once(waiter: Waiter) -> None:
    await waiter.wait()
    waiter.stop_hearing()
    await waiter.stage.put("job")
    wire = waiter.backend.client.lines().ready(None)
    wire._transport.pause_reading()
    claiming = asyncio.get_running_loop().create_task(waiter.claim())
    await waiter.clock.rest()
    waiter.hear()
    assert await waiter.is_woken()
    wire._transport.resume_reading()

    claims = await claiming

    assert [claim.envelope.id for claim in claims] == ["job"]
    assert await waiter.claim() == []


async def test_a_wait_that_was_no_idle_one_may_be_cancelled(waiter: Waiter) -> None:
    waiting = start(waiter.backend.wait(WATCH, 60.0), "busy")
    await waiter.clock.rest()
    waiting.cancel()
    await asyncio.wait([waiting])
    await waiter.wait()

    await waiter.stage.put("job")

    assert await waiter.worker_of("job") == WORKER


async def test_an_old_message_is_believed_when_the_store_says_so_and_its_lease_renewed(
    waiter: Waiter,
) -> None:
    await waiter.wait()
    waiter.stop_hearing()
    await waiter.stage.put("job")
    await waiter.clock.advance(20)
    waiter.hear()
    assert await waiter.is_woken()
    sent = waiter.backend.client.commands

    (claim,) = await waiter.claim()

    assert waiter.backend.client.commands == sent + 1
    assert (claim.envelope.id, claim.age) == ("job", 0)
    await waiter.clock.advance(20)
    assert await waiter.stage.backend.rescue("other", 10, 30) == []


async def test_a_worker_that_stood_still_for_a_lease_does_not_start_what_others_took(waiter: Waiter) -> None:
    await waiter.wait()
    waiter.stop_hearing()
    await waiter.stage.put("job")
    await waiter.clock.advance(31)
    (lost,) = await waiter.stage.backend.rescue("other", 10, 30)
    waiter.hear()
    assert await waiter.is_woken()

    assert await waiter.claim() == []
    assert (lost.lost_worker, lost.has_started) == (WORKER, False)


async def test_a_claim_says_how_long_its_lease_may_have_lasted(waiter: Waiter) -> None:
    await waiter.wait()
    await waiter.clock.advance(5)
    await waiter.stage.put("job")
    assert await waiter.is_woken()

    (claim,) = await waiter.claim()

    assert (5 <= claim.age < 7, claim.has_started) == (True, False)


async def test_what_a_lost_farewell_left_goes_back_when_the_worker_leaves(waiter: Waiter) -> None:
    await waiter.wait()
    waiter.stop_hearing()
    await waiter.stage.put("job")
    assert (
        waiter.backend._waiting.quit(WORKER) is not None
    )  # as a wait that is cancelled does; nobody is told

    await waiter.backend.leave(WORKER)

    assert (await waiter.stage.take_one(worker="other")).lease.token == 2


@pytest.mark.parametrize("hears", [False, True])
async def test_a_worker_that_stops_gives_back_what_it_was_handed(waiter: Waiter, hears: bool) -> None:  # noqa: FBT001
    await waiter.wait()
    if not hears:
        waiter.stop_hearing()
    await waiter.stage.put("job")
    if hears:
        assert await waiter.is_woken()
        await waiter.backend.leave(WORKER)
    else:
        await waiter.cancel()
        while await waiter.worker_of("job"):
            pass

    claim = await waiter.stage.take_one(worker="other")
    assert (claim.lease.token, claim.attempts, claim.crashes) == (2, 0, 0)
    stored, _ = await waiter.stage.backend.read(None, 100)
    assert names(stored[3:]) == [JobCreated, JobStarted, JobInterrupted, JobStarted]


async def test_a_worker_that_died_in_its_wait_is_handed_nothing(waiter: Waiter) -> None:
    await waiter.wait()
    client = waiter.stage.backend.client  # type: ignore[attr-defined]
    key = f"{client.address.prefix}:{{{client.address.prefix}}}:waiting"
    (terms,) = await client.command("HVALS", key)
    await client.command("HSET", key, "dead", terms)
    await client.command("HDEL", key, WORKER)

    await waiter.stage.put("job")

    assert await waiter.worker_of("job") is None
    assert await waiter.is_woken()


@pytest.mark.parametrize(
    "fields",
    [{"scheduled_at": 1_000}, {"type": "bulk"}, {"payload": b'{"text":"%b"}' % (b"x" * 70_000)}],
    ids=["due later", "first of its lane", "large"],
)
async def test_only_small_jobs_of_a_known_lane_that_are_due_are_handed_over(
    waiter: Waiter, fields: dict[str, Any]
) -> None:
    if "scheduled_at" in fields:
        fields = {"scheduled_at": waiter.stage.after(60)}
    await waiter.wait()

    await waiter.stage.put("job", **fields)

    assert await waiter.worker_of("job") is None


async def test_two_jobs_wake_but_are_claimed(waiter: Waiter) -> None:
    await waiter.wait()

    await waiter.stage.put("one", "two")

    assert await waiter.is_woken()
    assert [claim.envelope.id for claim in await waiter.claim()] == ["one", "two"]


async def test_what_came_before_is_claimed_before(waiter: Waiter) -> None:
    await waiter.stage.backend.pause_queue("default")
    await waiter.stage.put("older")
    await waiter.wait()
    await waiter.stage.put("while paused")
    assert await waiter.worker_of("while paused") is None

    await waiter.stage.backend.resume_queue("default")
    await waiter.stage.put("newer")

    assert await waiter.worker_of("newer") is None
    assert await waiter.is_woken()
    assert [claim.envelope.id for claim in await waiter.claim()] == ["older", "while paused", "newer"]


async def test_where_limits_are_in_force_jobs_are_claimed(waiter: Waiter) -> None:
    await waiter.stage.limit(concurrency=5)
    await waiter.wait()

    await waiter.stage.put("job")

    assert await waiter.is_woken()
    assert await waiter.worker_of("job") is None
