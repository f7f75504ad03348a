"""Imports that stop between two rows: what is done counts, and what is left goes on there."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, JobFailure, JobStatus, Status
from tests.bulk.conftest import ONE_ATTEMPT, WriteCsv, counts, work
from tests.bulk.test_deaths import Killed, claimed, rescued

MIXED = ["a,1", "a,1", "b,x", "c,3", "d,4", "d,4", "e,y", "f,6"]
"""Rows 1, 4, 5 and 8 are handled; 2 and 6 are duplicates, 3 and 7 don't fit."""


class User(msgspec.Struct):
    email: str
    age: int


Step = Callable[[JobContext, User], Any]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    worker = msgspec.structs.replace(engine.settings.worker, lease=0.3, cancel_timeout=0.2)
    engine.settings = msgspec.structs.replace(engine.settings, worker=worker)
    return engine


def importer(engine: Engine, seen: list[int], step: Step, **options: Any) -> Any:
    @engine.importer("users", row=User, key="email", **{"retry": ONE_ATTEMPT, **options})
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        async for row in ctx.track(rows):
            await step(ctx, row)
            seen.append(row.age)

    return import_users


def parent(ctx: JobContext) -> str:
    return ctx.id.split(".")[0]


async def told_to_stop(ctx: JobContext) -> None:
    while not ctx.stopping:
        await anyio.lowlevel.checkpoint()


async def failed(engine: Engine, job_id: str) -> list[int]:
    return [failure.row_number async for failure in engine.failures.list(job_id)]


async def chunks_of(engine: Engine, job_id: str) -> list[JobStatus]:
    return [job async for job in engine.jobs.list(parent_id=job_id)]


def pausing_at(age: int) -> Step:
    async def step(ctx: JobContext, row: User) -> None:
        if row.age == age and ctx.cursor is None:
            await ctx.engine.jobs.pause(parent(ctx))
            await told_to_stop(ctx)

    return step


async def test_a_single_import_is_paused_between_two_rows_and_goes_on_there(
    engine: Engine, write_csv: WriteCsv
) -> None:
    seen: list[int] = []
    users = importer(engine, seen, pausing_at(3))
    async with engine:
        handle = await engine.dispatch(users, write_csv(MIXED))
        await work(engine)
        paused = await handle.status()
        assert (paused.status, paused.attempts, counts(paused)) == (Status.PAUSED, 0, (3, 1, 1, 8))
        assert (seen, await failed(engine, handle.id)) == ([1, 3], [3])

        await engine.jobs.resume(handle.id)
        await work(engine)
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.PARTIAL, (6, 2, 2, 8))
        assert (seen, await failed(engine, handle.id)) == ([1, 3, 4, 6], [3, 7])


async def test_chunks_are_paused_between_two_rows_and_go_on_there(
    engine: Engine, write_csv: WriteCsv
) -> None:
    seen: list[int] = []

    async def step(ctx: JobContext, row: User) -> None:
        if row.age == 3 and not ctx.stopping:
            ctx.fail_row(row, "three")
            await ctx.engine.jobs.pause(parent(ctx))
        if row.age == 4:
            await told_to_stop(ctx)

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(40))
        await work(engine)
        (halted,) = [job for job in await chunks_of(engine, handle.id) if 0 < job.processed < job.total]
        assert (halted.status, counts(halted)) == (Status.PAUSED, (3, 1, 0, 5))
        assert (await handle.status()).status is Status.WAITING
        counts(await handle.status())

        await engine.jobs.resume(handle.id)
        await work(engine)
        assert counts(await handle.status()) == (39, 1, 0, 40)
        assert await failed(engine, handle.id) == [3]
    assert sorted(seen) == list(range(1, 41))


@pytest.mark.parametrize("rows", [8, 40], ids=["single", "batch"])
async def test_a_cancelled_run_ends_behind_the_row_that_it_has_in_hand(
    engine: Engine, write_csv: WriteCsv, rows: int
) -> None:
    seen: list[int] = []

    async def step(ctx: JobContext, row: User) -> None:
        if row.age == 2:
            ctx.fail_row(row, "two")
        if row.age == 3:
            await ctx.engine.jobs.cancel(parent(ctx))
            await told_to_stop(ctx)
            await anyio.lowlevel.checkpoint()
        if row.age > 5:
            await anyio.sleep_forever()

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(rows))
        await work(engine)
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.CANCELLED, (2, 1, 0, rows))
        assert await failed(engine, handle.id) == [2]
    assert seen == [1, 2, 3]


async def test_a_row_that_does_not_end_is_cancelled_and_does_not_count(
    engine: Engine, write_csv: WriteCsv
) -> None:
    seen: list[int] = []
    ended: list[int] = []

    async def step(ctx: JobContext, row: User) -> None:
        if row.age == 3:
            await ctx.engine.jobs.cancel(parent(ctx))
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(row.age)

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(8))
        await work(engine)
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.CANCELLED, (2, 0, 0, 8))
    assert (seen, ended) == ([1, 2], [3])


async def test_a_worker_that_stops_hands_the_rest_to_the_next_one(
    engine: Engine, write_csv: WriteCsv
) -> None:
    seen: list[int] = []
    workers: list[Any] = []

    async def step(ctx: JobContext, row: User) -> None:
        if row.age == 3 and len(workers) == 1:
            workers[0].stop()
            await told_to_stop(ctx)

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(MIXED))
        workers.append(engine.worker(burst=True))
        await workers[0].run()
        status = await handle.status()
        assert (status.status, status.attempts, counts(status)) == (Status.PENDING, 0, (3, 1, 1, 8))
        workers.append(None)
        await work(engine)
        assert counts(await handle.status()) == (6, 2, 2, 8)
    assert seen == [1, 3, 4, 6]


async def test_what_was_kept_outlives_a_crash_and_a_failure(engine: Engine, write_csv: WriteCsv) -> None:
    seen: list[int] = []
    is_broken = False

    async def step(ctx: JobContext, row: User) -> None:
        await pausing_at(3)(ctx, row)
        if is_broken and row.age == 6:
            raise LookupError("six")

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(MIXED))
        await work(engine)
        await engine.jobs.resume(handle.id)
        claim, context = await claimed(engine, writes=0)
        with pytest.raises(Killed):
            await users.perform(context, claim)
        await rescued(engine, claim)
        assert counts(await handle.status()) == (3, 1, 1, 8)

        is_broken = True
        await work(engine)
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.PARTIAL, (5, 3, 2, 8))
        assert await failed(engine, handle.id) == [3, 7, 8]
    assert set(seen) == {1, 3, 4}


async def test_only_the_rest_fails_when_its_rows_are_gone(engine: Engine, write_csv: WriteCsv) -> None:
    users = importer(engine, [], pausing_at(3))
    async with engine:
        handle = await engine.dispatch(users, write_csv(MIXED))
        await work(engine)
        await engine.jobs.resume(handle.id)
        await engine.storage.remove(handle.id)
        await work(engine)
        status = await handle.status()
        assert status.status is Status.FAILED
        assert (status.succeeded, status.failed) == (3, 5)


async def test_rows_that_are_salvaged_are_parted_by_calls(engine: Engine, write_csv: WriteCsv) -> None:
    calls: list[list[int]] = []

    @engine.importer("users", row=User, retry=ONE_ATTEMPT)
    async def users(ctx: JobContext, rows: list[User]) -> None:
        calls.append([row.age for row in rows])
        if any(row.age in (2, 7) for row in rows):
            raise LookupError
        if rows[0].age == 3 and calls.count([3, 4]) == 1:
            await ctx.engine.jobs.pause(ctx.id)
            await told_to_stop(ctx)

    async with engine:
        handle = await engine.dispatch(users, write_csv(8))
        await work(engine)
        paused = await handle.status()
        assert (paused.status, counts(paused)) == (Status.PAUSED, (3, 1, 0, 8))
        calls.clear()
        await engine.jobs.resume(handle.id)
        await work(engine)
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.PARTIAL, (6, 2, 0, 8))
        assert await failed(engine, handle.id) == [2, 7]
    assert sorted({age for call in calls for age in call}) == [5, 6, 7, 8]


async def test_rows_in_another_order_go_to_the_end_of_the_call(engine: Engine, write_csv: WriteCsv) -> None:
    seen: list[int] = []

    @engine.importer("users", row=User)
    async def users(ctx: JobContext, rows: list[User]) -> None:
        async for row in ctx.track(sorted(rows, key=lambda row: -row.age)):
            if row.age == 5:
                await ctx.engine.jobs.pause(ctx.id)
                await told_to_stop(ctx)
            seen.append(row.age)

    async with engine:
        handle = await engine.dispatch(users, write_csv(8))
        await work(engine)
        assert counts(await handle.status()) == (8, 0, 0, 8)
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("is_heard", [False, True], ids=["unheard", "heard"])
async def test_a_pause_that_is_taken_back_at_once_stops_nothing(
    engine: Engine, write_csv: WriteCsv, *, is_heard: bool
) -> None:
    seen: list[int] = []

    async def step(ctx: JobContext, row: User) -> None:
        if row.age == 3:
            await ctx.engine.jobs.pause(parent(ctx))
            if is_heard:
                await told_to_stop(ctx)
            await ctx.engine.jobs.resume(parent(ctx))

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(40))
        await work(engine)
        assert counts(await handle.status()) == (40, 0, 0, 40)
    assert sorted(seen) == list(range(1, 41))


async def test_failed_rows_that_run_again_are_not_parted(engine: Engine, write_csv: WriteCsv) -> None:
    seen: list[int] = []
    is_mended = False

    async def step(ctx: JobContext, row: User) -> None:
        if not is_mended:
            ctx.fail_row(row, "not yet")
        elif row.age == 3:
            await ctx.engine.jobs.pause(parent(ctx))
            await told_to_stop(ctx)

    users = importer(engine, seen, step)
    async with engine:
        handle = await engine.dispatch(users, write_csv(5))
        await work(engine)
        is_mended = True
        seen.clear()
        await engine.failures.retry(handle.id)
        await work(engine)
        assert counts(await handle.status()) == (5, 0, 0, 5)
        left: list[JobFailure] = [
            failure async for failure in engine.failures.list(handle.id, unresolved=True)
        ]
    assert (seen, left) == ([1, 2, 3, 4, 5], [])


async def test_a_checkpoint_forgets_no_reported_row(engine: Engine, write_csv: WriteCsv) -> None:
    met: list[str] = []

    @engine.importer("users", row=User)
    async def users(ctx: JobContext, rows: list[User]) -> None:
        await ctx.checkpoint(1)
        ctx.fail_row(rows[0], "bad")
        with pytest.raises(ConfigError, match=r"ctx\.track") as error:
            await ctx.checkpoint(2)
        met.append(str(error.value))

    async with engine:
        handle = await engine.dispatch(users, write_csv(3))
        await work(engine)
        assert counts(await handle.status()) == (2, 1, 0, 3)
    assert len(met) == 1
