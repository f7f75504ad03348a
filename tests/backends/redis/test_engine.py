"""The whole engine on every kind of server."""

import asyncio
from pathlib import Path

import msgspec

from aiojobs_engine import Engine, JobCompleted, Status

BOUND = 30


class Person(msgspec.Struct):
    name: str
    age: int


async def test_one_process_dispatches_and_another_one_works(redis_url: str) -> None:
    worker, dispatcher = Engine(redis_url), Engine(redis_url)

    @worker.job(name="double")
    async def double(number: int) -> int:
        return 2 * number

    async with asyncio.timeout(BOUND), dispatcher, worker.running():
        start = await dispatcher.store.tail()
        handle = await dispatcher.dispatch("double", number=21)
        assert await handle.result() == 42
        async for event in dispatcher.events(after=start, job_id=handle.id):
            if isinstance(event, JobCompleted):
                break
    assert event.status is Status.COMPLETED


async def test_queues_are_worked_off_side_by_side(redis_url: str) -> None:
    engine, seen = Engine(redis_url), list[int]()

    @engine.job(name="note")
    async def note(number: int) -> None:
        seen.append(number)

    async with asyncio.timeout(BOUND), engine:
        await engine.dispatch_many(note.options(queue=f"q{number % 3}").job(number) for number in range(300))
        await engine.worker(queues=["q0", "q1", "q2"], burst=True).run()

    assert sorted(seen) == list(range(300))


async def test_an_import_ends_with_the_rows_that_failed(redis_url: str, tmp_path: Path) -> None:
    small = {"storage": {"path": str(tmp_path)}, "chunking": {"size": 10, "threshold": 20}}
    engine, rows = Engine(redis_url, config=small), list[str]()

    @engine.importer("people", row=Person)
    async def import_people(people: list[Person]) -> None:
        rows.extend(person.name for person in people)

    source = tmp_path / "people.csv"
    source.write_text(
        "name,age\n" + "".join(f"p{number},{number if number % 10 else 'old'}\n" for number in range(100))
    )
    async with asyncio.timeout(BOUND), engine:
        handle = await engine.dispatch(import_people, source)
        await engine.worker(burst=True).run()
        status = await handle.status()
        failures = await engine.store.failures(handle.id, unresolved=True, after=None, limit=100)

    assert (status.status, status.succeeded, status.failed) == (Status.PARTIAL, 90, 10)
    assert len(rows) == 90
    assert [failure.row_number for failure in failures] == list(range(1, 101, 10))


async def test_cron_fires_in_the_worker(redis_url: str) -> None:
    engine, fired = Engine(redis_url), asyncio.Event()

    @engine.cron("* * * * * *", name="second")
    async def second() -> None:
        fired.set()

    async with asyncio.timeout(BOUND), engine.running():
        await fired.wait()
        (run, *_), _ = await engine.store.cron_history("second", 10, None)
    assert run.name == "second"
