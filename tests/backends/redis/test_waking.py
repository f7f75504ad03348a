"""Who is woken for a new job: one idle worker for each, where there are so many, else all."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Watch, WorkerRecord
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.conformance.stage import WATCH, Stage

LONG = 60.0


@pytest.fixture(autouse=True)
async def _known_lane(stage: Stage) -> None:
    await stage.put("first")
    await stage.settle(await stage.take_one(worker="first"), Status.COMPLETED)


def watch(worker: str, *types: str) -> Watch:
    return Watch(worker, WATCH.queues, types or WATCH.types)


def waiting_key(stage: Stage) -> str:
    prefix = stage.backend.client.address.prefix  # type: ignore[attr-defined]
    return f"{prefix}:{{{prefix}}}:waiting"


class Waiters:
    """Workers that wait, and how many of them the server knows."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def wait(self, *workers: str, is_idle: bool = True, types: Iterable[str] = ()) -> None:
        """Let them wait; idle ones until the server knows of it."""
        for worker in workers:
            seen = watch(worker, *types)
            await self._stage.take(worker=worker, types=seen.types)
            waiting = self._stage.backend.wait(seen, LONG, is_idle=is_idle)
            self._tasks[worker] = start(waiting, f"waiting {worker}")
        while is_idle and not {*workers} <= await self.known():
            pass

    async def known(self) -> set[str]:
        """The idle ones that nobody has woken."""
        client = self._stage.backend.client  # type: ignore[attr-defined]
        return {name.decode() for name in await client.command("HKEYS", waiting_key(self._stage))}

    async def woken(self, number: int) -> set[str]:
        """Those that were woken, as soon as they are `number`."""
        async with asyncio.timeout(LONG):
            while len(done := {name for name, task in self._tasks.items() if task.done()}) < number:
                await asyncio.wait(
                    [task for task in self._tasks.values() if not task.done()],
                    return_when=asyncio.FIRST_COMPLETED,
                )
        return done

    async def cancel(self, worker: str) -> None:
        """Let one stop in the middle of its wait."""
        self._tasks[worker].cancel()
        await asyncio.wait([self._tasks.pop(worker)])

    async def end(self) -> None:
        for worker in list(self._tasks):
            await self.cancel(worker)


@pytest.fixture
async def waiters(stage: Stage) -> AsyncIterator[Waiters]:
    waiters = Waiters(stage)
    yield waiters
    await waiters.end()


async def test_a_new_job_wakes_one_idle_worker(stage: Stage, waiters: Waiters) -> None:
    await waiters.wait("a", "b", "c")

    for number in range(1, 4):
        await stage.put(f"job-{number}")
        assert len(await waiters.known()) == 3 - number
        assert len(await waiters.woken(number)) == number


async def test_as_many_idle_workers_are_woken_as_there_are_new_jobs(stage: Stage, waiters: Waiters) -> None:
    await waiters.wait("a", "b", "c")

    await stage.put("one", "two")

    assert len(await waiters.known()) == 1
    assert len(await waiters.woken(2)) == 2


async def test_busy_workers_are_woken_only_where_no_idle_one_is_left(stage: Stage, waiters: Waiters) -> None:
    await waiters.wait("busy", is_idle=False)
    await waiters.wait("idle")

    await stage.put("one")
    assert await waiters.woken(1) == {"idle"}

    await stage.put("two")
    assert await waiters.woken(2) == {"idle", "busy"}


async def test_all_are_woken_for_more_jobs_than_idle_workers(stage: Stage, waiters: Waiters) -> None:
    await waiters.wait("busy", is_idle=False)
    await waiters.wait("a", "b")

    await stage.put("one", "two", "three")

    assert await waiters.woken(3) == {"busy", "a", "b"}


async def test_a_worker_for_other_types_is_left_alone(stage: Stage, waiters: Waiters) -> None:
    await stage.put("import", type="bulk")
    await stage.settle(await stage.take_one(worker="first"), Status.COMPLETED)
    await waiters.wait("other", types=["bulk"])
    await waiters.wait("right", types=["work"])

    await stage.put("one")

    assert await waiters.woken(1) == {"right"}
    assert await waiters.known() == {"other"}


async def test_a_worker_that_died_in_its_wait_is_passed_over(stage: Stage, waiters: Waiters) -> None:
    client, key = stage.backend.client, waiting_key(stage)  # type: ignore[attr-defined]
    await waiters.wait("alive")
    (lanes,) = await client.command("HVALS", key)
    for number in range(3):
        await client.command("HSET", key, f"dead-{number}", lanes)

    await stage.put("one")

    assert await waiters.woken(1) == {"alive"}


async def test_a_worker_that_stops_after_it_was_woken_passes_it_on(stage: Stage, waiters: Waiters) -> None:
    client, key = stage.backend.client, waiting_key(stage)  # type: ignore[attr-defined]
    await waiters.wait("stops", "stays")
    await client.command("HDEL", key, "stops")  # as a job does whose message has not come yet

    await waiters.cancel("stops")

    assert await waiters.woken(1) == {"stays"}


async def test_a_worker_that_stops_is_not_woken_any_more(stage: Stage, waiters: Waiters) -> None:
    await waiters.wait("stops", "stays")
    await waiters.cancel("stops")
    while "stops" in await waiters.known():
        pass

    await stage.put("one")

    assert await waiters.woken(1) == {"stays"}
    assert await waiters.known() == set()


async def test_a_claim_a_farewell_and_a_minute_of_silence_end_a_wait(stage: Stage, waiters: Waiters) -> None:
    await waiters.wait("claims", "leaves", "silent", "beats")
    await stage.backend.beat(record(stage, "silent"))

    await stage.take(worker="claims")
    assert await waiters.known() == {"leaves", "silent", "beats"}

    await stage.backend.leave("leaves")
    assert await waiters.known() == {"silent", "beats"}

    await stage.clock.advance(61)
    await stage.backend.beat(record(stage, "beats"))
    assert await waiters.known() == {"beats"}


def record(stage: Stage, worker: str) -> WorkerRecord:
    now = stage.clock.now()
    return WorkerRecord(
        id=worker, host="h", pid=1, queues=("default",), slots=1, running=0, started_at=now, beat_at=now
    )
