"""Failed rows run again, and only those."""

import io
from typing import Any

import msgspec
import pytest

from aiojobs_engine import Engine, IllegalTransition, JobContext, JobFailure, JobNotFound, Status
from tests.bulk.conftest import ONE_ATTEMPT, WriteCsv, counts, work


class User(msgspec.Struct):
    email: str
    age: int


class Shop:
    """Refuses some ages until it is mended."""

    def __init__(self, engine: Engine, *refused: int) -> None:
        self.refused = set(refused)
        self.handled: list[int] = []

        @engine.importer("users", row=User, key="email", retry=ONE_ATTEMPT)
        async def import_users(ctx: JobContext, rows: list[User]) -> None:
            for row in rows:
                if row.age in self.refused:
                    ctx.fail_row(row, f"{row.age} is refused", field="age")
                else:
                    self.handled.append(row.age)

        self.users = import_users


async def unresolved(engine: Engine, job_id: str) -> list[JobFailure]:
    return [failure async for failure in engine.failures.list(job_id, unresolved=True)]


@pytest.mark.parametrize("rows", [10, 100], ids=["single", "batch"])
async def test_only_unresolved_rows_run_again(engine: Engine, write_csv: WriteCsv, rows: int) -> None:
    shop = Shop(engine, 3, 4, 9, rows)
    async with engine:
        handle = await engine.dispatch(shop.users, write_csv(rows))
        await work(engine)
        assert counts(await handle.status()) == (rows - 4, 4, 0, rows)
        shop.handled.clear()
        shop.refused = {9}

        assert await engine.failures.retry(handle.id) == 4
        status = await handle.status()
        assert (status.status, status.epoch, counts(status)) == (Status.WAITING, 1, (rows - 4, 4, 0, rows))
        await work(engine)

        assert sorted(shop.handled) == [3, 4, rows]
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.PARTIAL, (rows - 1, 1, 0, rows))
        (failure,) = await unresolved(engine, handle.id)
        assert (failure.row_number, failure.attempts, len(failure.history)) == (9, 2, 2)
        mended = [one async for one in engine.failures.list(handle.id) if one.resolved]
        assert [one.row_number for one in mended] == [3, 4, rows]

        shop.refused.clear()
        assert await engine.failures.retry(handle.id) == 1
        await work(engine)
        status = await handle.status()
        assert (status.status, status.epoch, counts(status)) == (Status.COMPLETED, 2, (rows, 0, 0, rows))
        assert await engine.failures.retry(handle.id) == 0
        assert sorted(shop.handled) == [3, 4, 9, rows]


async def test_rows_that_never_fit_fail_again_as_they_stand(engine: Engine) -> None:
    shop = Shop(engine, 1)
    lines = [b"a,x", b"\xff,2", b'b,"3', b"c,1,9", b"d,1"]
    data = b"email,age\n" + b"\n".join(lines) + b"\n"
    async with engine:
        handle = await engine.dispatch(shop.users, io.BytesIO(data))
        await work(engine)
        before = await unresolved(engine, handle.id)
        shop.refused.clear()
        assert await engine.failures.retry(handle.id) == len(before) == 5
        await work(engine)
        after = await unresolved(engine, handle.id)
        assert counts(await handle.status()) == (1, 4, 0, 5)
    assert [one.row_number for one in after] == [1, 2, 3, 4]
    assert [(one.message, one.payload) for one in after] == [(one.message, one.payload) for one in before[:4]]
    assert [one.attempts for one in after] == [2, 2, 2, 2]


async def test_a_retry_that_raises_is_salvaged_and_loses_no_other_row(
    engine: Engine, write_csv: WriteCsv
) -> None:
    bad = {3, 4, 5, 6}

    @engine.importer("users", row=User, retry=ONE_ATTEMPT)
    async def import_users(rows: list[User]) -> None:
        for row in rows:
            if row.age in bad:
                raise LookupError(row.age)

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(20))
        await work(engine)
        assert counts(await handle.status()) == (16, 4, 0, 20)
        bad.intersection_update({5})
        await engine.failures.retry(handle.id)
        await work(engine)
        assert counts(await handle.status()) == (19, 1, 0, 20)
        assert [one.row_number for one in await unresolved(engine, handle.id)] == [5]


async def test_many_failed_rows_run_in_chunks(engine: Engine, write_csv: WriteCsv) -> None:
    shop = Shop(engine, *range(1, 41))
    async with engine:
        handle = await engine.dispatch(shop.users, write_csv(50))
        await work(engine)
        shop.refused.clear()
        shop.handled.clear()
        assert await engine.failures.retry(handle.id) == 40
        await work(engine)
        assert shop.handled == list(range(1, 41))
        chunks = [job async for job in engine.jobs.list(status="completed") if job.parent_id == handle.id]
        assert counts(await handle.status()) == (50, 0, 0, 50)
    assert sum(job.id.startswith(f"{handle.id}.1.") for job in chunks) == 8


async def test_rows_can_not_be_retried_while_they_run(engine: Engine, write_csv: WriteCsv) -> None:
    shop = Shop(engine, 3)
    async with engine:
        handle = await engine.dispatch(shop.users, write_csv(20))
        await work(engine)
        await engine.failures.retry(handle.id)
        with pytest.raises(IllegalTransition, match="is waiting, so it can't have its failed rows retried"):
            await engine.failures.retry(handle.id)


async def test_only_imports_have_rows_to_retry(engine: Engine, write_csv: WriteCsv) -> None:
    @engine.job(name="plain")
    async def plain() -> None: ...

    async with engine:
        handle = await engine.dispatch(plain)
        await work(engine)
        with pytest.raises(IllegalTransition, match="kind 'job'"):
            await engine.failures.retry(handle.id)
        with pytest.raises(JobNotFound):
            await engine.failures.retry("nobody")


async def test_rows_are_retried_without_the_code(engine: Engine, write_csv: WriteCsv) -> None:
    shop = Shop(engine, 3)
    async with engine:
        handle = await engine.dispatch(shop.users, write_csv(20))
        await work(engine)
        known: dict[str, Any] = dict(engine.registry.types)
        engine.registry.types.clear()
        assert await engine.failures.retry(handle.id) == 1
        engine.registry.types.update(known)
        shop.refused.clear()
        await work(engine)
        assert counts(await handle.status()) == (20, 0, 0, 20)
