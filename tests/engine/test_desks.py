"""The desks: listing, filtering, and intervening by hand."""

from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, IllegalTransition, JobNotFound, Page, Retry
from aiojobs_engine.listing import Listing
from aiojobs_engine.testing import TestEngine


def adding(engine: Engine) -> Any:
    @engine.job(name="add", retry=Retry.none())
    async def add(a: int) -> int:
        if a < 0:
            raise ValueError("negative")
        return a

    return add


async def test_a_listing_awaited_is_a_page_and_iterated_is_everything(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        handles = await engine.dispatch_many(add.job(a=number) for number in range(25))
        newest_first = [handle.id for handle in reversed(handles)]
        listing = engine.jobs.list(limit=10)
        page = await listing
        last = await engine.jobs.list(limit=20, cursor=page.next_cursor)

        assert [job.id for job in page.items] == newest_first[:10]
        assert [job.id for job in last.items] == newest_first[10:]
        assert last.next_cursor is None
        assert [job.id async for job in listing] == newest_first


@pytest.mark.parametrize("limit", [0, -1, 1_001])
async def test_a_page_has_one_to_a_thousand_items(engine: Engine, limit: int) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="1 to 1,000"):
            engine.jobs.list(limit=limit)


async def test_a_foreign_cursor_is_refused(engine: Engine) -> None:
    async with engine:
        with pytest.raises(ConfigError):
            await engine.jobs.list(cursor="not a cursor")


@pytest.mark.parametrize(
    "filters, found",
    [
        ({}, {1, 2, 3, 4}),
        ({"status": "scheduled"}, {3}),
        ({"status": ["scheduled", "cancelled"]}, {3, 4}),
        ({"queue": "mail"}, {2}),
        ({"type": "add"}, {1, 2, 3, 4}),
        ({"type": "other"}, set()),
        ({"kind": "job"}, {1, 2, 3, 4}),
        ({"user_id": 7}, {1, 2}),
        ({"user_id": "7"}, {1, 2}),
        ({"tag": "red"}, {2}),
        ({"tag": "red", "queue": "default"}, set()),
    ],
)
async def test_filters_hold_together(engine: Engine, filters: dict[str, Any], found: set[int]) -> None:
    add = adding(engine)

    async with engine:
        ids = {
            (await engine.dispatch(add.options(user_id=7), a=1)).id: 1,
            (await engine.dispatch(add.options(user_id="7", queue="mail", tags=["red", "blue"]), a=2)).id: 2,
            (await engine.dispatch(add.options(delay=60, user_id=70), a=3)).id: 3,
        }
        cancelled = await engine.dispatch(add, a=4)
        await cancelled.cancel()
        ids[cancelled.id] = 4

        assert {ids[job.id] async for job in engine.jobs.list(**filters)} == found


async def test_an_unknown_status_is_refused_with_the_nearest(engine: Engine) -> None:
    async with engine:
        with pytest.raises(ConfigError, match=r"'canceled'; did you mean 'cancelled'\?"):
            engine.jobs.list(status="canceled")
        with pytest.raises(ConfigError, match="there are scheduled, waiting"):
            engine.jobs.list(status=["pending", "xyz"])


async def test_a_deleted_job_is_gone(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        handle = await engine.dispatch(add, a=1)
        await engine.jobs.delete(handle.id)

        with pytest.raises(JobNotFound):
            await engine.jobs.get(handle.id)
        with pytest.raises(JobNotFound):
            await engine.jobs.delete(handle.id)


async def test_a_job_that_runs_is_not_deleted() -> None:
    import asyncio

    engine = Engine("memory://")

    @engine.job(name="hold")
    async def hold() -> None:
        await asyncio.Event().wait()

    async with TestEngine(engine, patience=0.05) as t:
        handle = await engine.dispatch(hold)
        await t.drain()

        with pytest.raises(IllegalTransition, match="processing"):
            await engine.jobs.delete(handle.id)


async def test_purge_removes_what_has_ended_and_nothing_else() -> None:
    engine = Engine("memory://")
    add = adding(engine)

    async with TestEngine(engine) as t:
        await engine.dispatch_many(add.job(a=number) for number in (1, 2, -1))
        await t.drain()
        await engine.dispatch(add, a=5)

        assert await engine.jobs.purge(status="failed") == 1
        assert await engine.jobs.purge(type="other") == 0
        assert await engine.jobs.purge() == 2
        assert [job.status async for job in engine.jobs.list()] == ["pending"]


async def test_purge_refuses_what_has_not_ended(engine: Engine) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="not pending ones"):
            await engine.jobs.purge(status=["failed", "pending"])


async def test_purge_goes_on_beyond_one_page(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        await engine.dispatch_many(add.job(a=number) for number in range(2_100))

        assert await engine.queues.purge("default") == 2_100
        assert (await engine.jobs.list()).items == []


async def test_a_paused_queue_starts_nothing_until_it_is_resumed() -> None:
    engine = Engine("memory://")
    add = adding(engine)

    async with TestEngine(engine) as t:
        await engine.queues.pause("default")
        await engine.dispatch(add, a=1)
        assert await t.drain() == {"pending": 1}
        assert (await engine.queues.stats("default")).paused
        await engine.queues.resume("default")

        assert await t.drain() == {"completed": 1}
        assert not (await engine.queues.stats("default")).paused


async def test_queues_are_listed_by_name(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        for queue in ("mail", "alpha", "zeta"):
            await engine.dispatch(add.options(queue=queue), a=1)
        page = await engine.queues.list(limit=2)
        rest = await engine.queues.list(cursor=page.next_cursor)

        assert [queue.name for queue in page.items] == ["alpha", "mail"]
        assert ([queue.name for queue in rest.items], rest.next_cursor) == (["zeta"], None)
        assert [queue.name async for queue in engine.queues.list(limit=1)] == ["alpha", "mail", "zeta"]


async def test_a_queue_that_is_not_there_is_named_with_the_nearest(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        await engine.dispatch(add, a=1)

        with pytest.raises(ConfigError, match=r"'defualt'; did you mean 'default'\?"):
            await engine.queues.stats("defualt")
        with pytest.raises(ConfigError, match="a queue"):
            await engine.queues.pause("a b")


async def test_dead_jobs_are_listed_and_replayed() -> None:
    engine = Engine("memory://")
    add = adding(engine)

    async with TestEngine(engine) as t:
        handles = await engine.dispatch_many(add.job(a=number) for number in (-1, -2, -3, 4))
        await t.drain()
        dead = [job.id async for job in engine.dead.list()]
        assert dead == [handle.id for handle in reversed(handles[:3])]
        assert (await engine.dead.get(dead[0])).error is not None

        assert await engine.dead.replay(id=dead[0]) == 1
        assert await engine.dead.replay(type="other") == 0
        assert await engine.dead.replay(reason="max_attempts", limit=1) == 1
        assert len((await engine.dead.list()).items) == 1
        assert await engine.dead.replay() == 1
        assert await t.drain() == {"completed": 1, "failed": 3}
        assert {job.epoch async for job in engine.dead.list()} == {1}
        assert await engine.dead.purge(queue="default") == 3
        assert await t.drain() == {"completed": 1}


async def test_what_is_not_dead_is_not_replayed() -> None:
    engine = Engine("memory://")
    add = adding(engine)

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(add, a=1)
        await t.drain()

        with pytest.raises(JobNotFound):
            await engine.dead.get(handle.id)
        with pytest.raises(IllegalTransition):
            await engine.dead.replay(id=handle.id)
        with pytest.raises(JobNotFound):
            await engine.dead.replay(id="gone")
        with pytest.raises(ConfigError, match="at least 1"):
            await engine.dead.replay(limit=0)


async def test_workers_and_types_are_listed(engine: Engine) -> None:
    add = adding(engine)

    async with engine.running():
        await (await engine.dispatch(add, a=1)).result(timeout=10)
        workers = await engine.workers.list()
        types = await engine.types.list()

    assert [worker.queues for worker in workers.items] == [("default",)]
    assert [(record.name, record.kind, record.queue) for record in types.items] == [("add", "job", "default")]


async def test_types_that_are_registered_here_are_listed_before_any_worker_ran(engine: Engine) -> None:
    adding(engine)

    async with engine:
        assert [record.name async for record in engine.types.list()] == ["add"]


async def test_failed_rows_of_nothing_are_an_error(engine: Engine) -> None:
    async with engine:
        with pytest.raises(JobNotFound):
            await engine.failures.list("gone")


async def test_a_plain_job_has_no_failed_rows(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        handle = await engine.dispatch(add, a=1)

        assert await engine.failures.list(handle.id) == Page([])


async def test_a_listing_can_be_read_twice() -> None:
    reads: list[str | None] = []

    async def read(limit: int, cursor: str | None) -> Page[int]:
        reads.append(cursor)
        start = int(cursor or 0)
        return Page([start], str(start + 1) if start < 2 else None)

    listing = Listing(read)

    assert [number async for number in listing] == [0, 1, 2]
    assert [number async for number in listing] == [0, 1, 2]
    assert reads == [None, "1", "2"] * 2
