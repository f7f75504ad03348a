import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.backends.memory.shelf import Shelf
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import BackendClosed, BackendFull, PayloadError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Store, WorkerRecord
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import WATCH, Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = ManualClock()
    backend = MemoryBackend(clock=clock, max_jobs=3, max_events=10)
    await backend.open()
    yield Stage(backend, clock)
    await backend.close()


async def test_a_full_store_takes_nothing_of_a_batch(stage: Stage) -> None:
    await stage.put("a", "b")
    before = await stage.picture()

    with pytest.raises(BackendFull, match="at most 3"):
        await stage.put("c", "d")

    assert await stage.picture() == before


async def test_a_full_store_still_knows_what_it_holds(stage: Stage) -> None:
    await stage.put("a", "b", "c")

    answers = await stage.put("a", "c", "c")

    assert [answer.created for answer in answers] == [False, False, False]


async def test_a_full_store_takes_no_chunks(stage: Stage) -> None:
    claim = await stage.start("bulk", type="bulk")
    before = await stage.picture()

    with pytest.raises(BackendFull):
        await stage.record(claim, message="x", children=tuple(stage.chunk("bulk", n) for n in range(1, 4)))

    assert await stage.picture() == before


async def test_room_that_was_made_can_be_used(stage: Stage) -> None:
    await stage.put("a", "b", "c")

    await stage.backend.delete(["a"])
    await stage.put("d")

    assert {job.id for job in await stage.all_jobs()} == {"b", "c", "d"}


async def test_an_envelope_that_can_not_be_encoded_stores_nothing_of_its_batch(stage: Stage) -> None:
    batch = [stage.envelope("a"), stage.envelope("b", meta={"x": object()})]

    with pytest.raises(PayloadError):
        await stage.backend.enqueue(batch)

    assert await stage.all_jobs() == []


async def test_only_the_newest_events_are_kept(stage: Stage) -> None:
    await stage.put("a")
    first = (await stage.events())[0]

    for _ in range(12):
        await stage.settle(await stage.take_one(), Status.PENDING)

    assert len(await stage.events()) == 10
    assert await stage.events(first.cursor) == await stage.events()
    assert await stage.events(await stage.backend.since(Instant(0))) == await stage.events()


async def test_a_closed_store_refuses_every_verb() -> None:
    backend: Store = MemoryBackend(clock=ManualClock())
    verbs = dict(inspect.getmembers(Store, inspect.iscoroutinefunction))
    arguments: dict[str, Any] = {"watch": WATCH, "name": "q", "after": "0", "unresolved": False}

    for name, verb in verbs.items():
        needed = [parameter for parameter in inspect.signature(verb).parameters if parameter != "self"]
        if name not in {"open", "close"}:
            with pytest.raises(BackendClosed):
                await getattr(backend, name)(**{one: arguments.get(one, []) for one in needed})


async def test_a_store_that_is_opened_again_holds_its_jobs(stage: Stage) -> None:
    await stage.put("a")

    await stage.backend.close()
    await stage.backend.close()
    await stage.backend.open()

    assert await stage.is_at("a") == [Status.PENDING]


async def test_closing_wakes_all_that_wait(stage: Stage) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiters = [
            group.create_task(stage.backend.wait(WATCH, 3600)),
            group.create_task(stage.backend.wait_events("0", 3600)),
        ]
        await stage.clock.rest()
        assert not any(waiter.done() for waiter in waiters)

        await stage.backend.close()


async def test_a_worker_that_was_silent_for_a_minute_is_forgotten_at_the_next_beat(stage: Stage) -> None:
    def record(worker_id: str) -> WorkerRecord:
        now = stage.clock.now()
        return WorkerRecord(
            id=worker_id, host="h", pid=1, queues=(), slots=1, running=0, started_at=now, beat_at=now
        )

    await stage.backend.beat(record("silent"))
    await stage.clock.advance(60.001)

    await stage.backend.beat(record("loud"))

    assert [worker.id for worker in await stage.backend.workers()] == ["loud"]


def _job(place: int) -> StoredJob:
    envelope = Envelope(id=str(place), type="t", payload=msgspec.Raw(b"{}"), created_at=Instant(0))
    return StoredJob(place, b"", envelope, Status.PENDING, Counters(), None, None)


def test_a_shelf_gives_jobs_by_number_then_by_place() -> None:
    shelf = Shelf()
    jobs = [_job(place) for place in range(5)]
    for job, number in zip(jobs, [2, 1, 2, 0, 1], strict=True):
        shelf.put(job, number)

    assert [job.place for job in shelf.due(2, 10)] == [3, 1, 4, 0, 2]
    assert shelf.first() is None


def test_a_job_that_was_put_twice_stands_at_its_last_number() -> None:
    shelf = Shelf()
    for number in (1, 9, 1, 5):
        shelf.put(_job(1), number)

    head = shelf.first()

    assert head is not None
    assert (head[0], len(shelf)) == (5, 1)
    assert shelf.due(4, 10) == []


def test_a_shelf_leaks_nothing_that_was_taken_out_or_moved() -> None:
    shelf = Shelf()
    kept = _job(0)
    shelf.put(kept, 0)

    for place in range(1, 10_000):
        job = _job(place)
        shelf.put(job, place)
        shelf.take(job)
        shelf.put(kept, -place)

    assert len(shelf._heap) < 100
    assert len(shelf) == 1
