"""Imports that are paused and go on, and what is left of a dispatcher that died."""

import io
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from aiojobs_engine import Engine, IllegalTransition, JobContext, SourceError, Status
from aiojobs_engine.core.instant import later
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.context import StopAtCheckpoint
from tests.bulk.conftest import WriteCsv, counts, work
from tests.bulk.test_deaths import claimed, settled, store_of

FILES = Path("aiojobs-files")
DAY = 86_400.0


class User(msgspec.Struct):
    email: str
    age: int


def importer(engine: Engine, handled: list[int]) -> Any:
    @engine.importer("users", row=User)
    async def import_users(rows: list[User]) -> None:
        handled.extend(row.age for row in rows)

    return import_users


async def statuses(engine: Engine, parent: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    async for job in engine.jobs.list(parent_id=parent):
        counted[job.status] = counted.get(job.status, 0) + 1
    return counted


async def test_an_import_is_paused_between_its_chunks_and_goes_on(
    engine: Engine, write_csv: WriteCsv
) -> None:
    seen: list[int] = []

    @engine.importer("users", row=User)
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        seen.extend(row.age for row in rows)
        if len(seen) == 20:
            await ctx.engine.jobs.pause(ctx.id.split(".")[0])

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(600))
        await engine.worker(burst=True, concurrency=1).run()
        status = await handle.status()
        assert status.status is Status.WAITING
        assert 20 <= status.processed < 300  # what the worker had in its hands goes to its end
        chunks = await statuses(engine, handle.id)
        assert chunks == {"completed": status.processed // 5, "paused": 120 - status.processed // 5}

        await engine.jobs.resume(handle.id)
        with pytest.raises(IllegalTransition):
            await engine.jobs.resume(handle.id)
        await work(engine)
        assert counts(await handle.status()) == (600, 0, 0, 600)
    assert sorted(seen) == list(range(1, 601))


async def test_an_import_is_paused_while_it_is_planned(engine: Engine, write_csv: WriteCsv) -> None:
    handled: list[int] = []
    users = importer(engine, handled)
    async with engine:
        handle = await engine.dispatch(users, write_csv(60))
        claim, context = await claimed(engine)
        await engine.jobs.pause(handle.id)
        context.stopping = context.pausing = True
        with pytest.raises(StopAtCheckpoint):
            await users.perform(context, claim)
        await settled(engine, claim, Status.PAUSED, attempts=0)
        assert set(await statuses(engine, handle.id)) == {"paused"}
        assert await store_of(engine).claim(Watch("other", ("default",), ("users",)), 10, 60) == []

        await engine.jobs.resume(handle.id)
        await work(engine)
        assert counts(await handle.status()) == (60, 0, 0, 60)
    assert sorted(handled) == list(range(1, 61))


class Watched(io.BytesIO):
    """A source that sees what its dispatcher has written when it is read to the end."""

    left: ClassVar[list[str]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            Watched.left = sorted(path.name for path in FILES.rglob("*") if path.is_file())
        return data


async def no_jobs(owners: Any) -> list[str]:
    return []


async def test_what_a_dead_dispatcher_left_goes_after_a_day(engine: Engine) -> None:
    users = importer(engine, [])
    async with engine:
        await engine.dispatch(users.options(id="mine"), Watched(b"email,age\n" + b"a@b,1\n" * 300_000))
        mark, *parts = Watched.left
        assert mark.endswith(".mine")
        assert [Path(part).suffix for part in parts] == [".part"]

        # what one leaves that is killed in the middle
        now = engine.clock.now()
        await engine.storage.keep_until("dead", later(now, DAY))
        (FILES / "job-dead").mkdir()
        (FILES / "job-dead" / "0123456789abcdef.part").write_bytes(b"email,a")
        assert await engine.storage.expire(now, no_jobs) == 0
        assert await engine.storage.expire(later(now, DAY), no_jobs) == 1
    assert not (FILES / "job-dead").exists()
    assert (FILES / "job-mine").exists()


async def test_the_source_of_a_stored_job_is_kept(engine: Engine, write_csv: WriteCsv) -> None:
    users = importer(engine, [])
    async with engine:
        handle = await engine.dispatch(users, write_csv(20))
        assert list((FILES / "expiring").iterdir()) == []
        now = later(engine.clock.now(), 2 * DAY)
        assert await engine.storage.expire(now, no_jobs) == 0

        # the dispatcher died after its job was stored, and before it told the storage
        await engine.storage.keep_until(handle.id, now)

        async def stored(owners: Any) -> list[str]:
            assert list(owners) == [handle.id]
            return [handle.id]

        for _ in range(2):  # it is asked for each time, as long as it is stored
            assert await engine.storage.expire(now, stored) == 0
        await work(engine)
        assert counts(await handle.status()) == (20, 0, 0, 20)


async def test_a_refused_source_leaves_nothing_behind(engine: Engine, write_csv: WriteCsv) -> None:
    users = importer(engine, [])
    async with engine:
        with pytest.raises(SourceError):
            await engine.dispatch(users, "nowhere.csv")
    assert [path for path in FILES.rglob("*") if path.is_file()] == []
