"""Planners and chunks that die, sources that change: nothing counts twice, nothing is lost silently."""

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from aiojobs_engine import Engine, JobContext, JobFailure, JobHandle, JobStatus, Status
from aiojobs_engine.bulk import planner
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobRetrying, event_of
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.backend import Claim, Record, Settlement, Store, Watch
from aiojobs_engine.runtime.context import StopAtCheckpoint
from tests.bulk.conftest import ONE_ATTEMPT, WriteCsv, counts, work

QUEUES = ("default",)


class User(msgspec.Struct):
    email: str
    age: int


class Killed(BaseException):
    """What a process meets that is killed: nothing after it runs."""


class DyingPort:
    """The worker around a run, until it has written `writes` times."""

    def __init__(self, engine: Engine, writes: int) -> None:
        self.storage = engine.storage
        self.engine = engine
        self.middleware = ()
        self._store = store_of(engine)
        self._writes = writes

    def now(self) -> Instant:
        return Instant(1)

    def monotonic(self) -> float:
        return 0.0

    async def record(self, record: Record) -> None:
        if not self._writes:
            raise Killed
        self._writes -= 1
        assert await self._store.record([record]) == [True]

    def touch(self, claim: Claim) -> None:
        pass


def store_of(engine: Engine) -> Store:
    return cast("Store", cast("Any", engine)._life.door.session.store)


async def claimed(engine: Engine, *, writes: int = 100, lease: float = 60) -> tuple[Claim, JobContext]:
    """The next job in the hands of a worker that dies after so many writes."""
    (claim,) = await store_of(engine).claim(Watch("dead", QUEUES, ("users",)), 1, lease)
    return claim, JobContext(claim, cast("Any", DyingPort(engine, writes)))


async def killed(engine: Engine, *, writes: int) -> Claim:
    """Let a worker take the next job, write so many times, and die while it holds the lease."""
    claim, context = await claimed(engine, writes=writes)
    with pytest.raises(Killed):
        await engine.registry.get("users").perform(context, claim)
    return claim


async def planned(engine: Engine) -> None:
    """Let a worker plan the next job and end well."""
    claim, context = await claimed(engine)
    await engine.registry.get("users").perform(context, claim)
    await settled(engine, claim, Status.WAITING)


async def settled(engine: Engine, claim: Claim, status: Status, **fields: Any) -> None:
    event = event_of(JobRetrying, claim.envelope, status, claim.counters, 1, Instant(1))
    values = {"attempts": claim.attempts + 1, "crashes": claim.crashes, **fields}
    settlement = Settlement(
        lease=claim.lease, status=status, event=event, parent_id=claim.envelope.parent_id, **values
    )
    assert await store_of(engine).settle([settlement]) == [True]


async def rescued(engine: Engine, claim: Claim) -> None:
    """Put the job of a dead worker back, as the finalizer of another one does."""
    await settled(engine, claim, Status.PENDING, crashes=claim.crashes + 1)


async def unresolved(engine: Engine, job_id: str) -> list[JobFailure]:
    return [failure async for failure in engine.failures.list(job_id, unresolved=True)]


async def ended(handle: JobHandle[Any]) -> JobStatus:
    async for _ in handle.events():
        pass
    return await handle.status()


@pytest.fixture
def engine(engine: Engine) -> Engine:
    worker = msgspec.structs.replace(engine.settings.worker, rescue_interval=0.02)
    engine.settings = msgspec.structs.replace(engine.settings, worker=worker)
    return engine


@pytest.fixture
def handled() -> list[int]:
    return []


@pytest.fixture
def users(engine: Engine, handled: list[int]) -> Any:
    @engine.importer("users", row=User, key="email", retry=ONE_ATTEMPT)
    async def import_users(rows: list[User]) -> None:
        handled.extend(row.age for row in rows)

    return import_users


@pytest.fixture(autouse=True)
def _one_chunk_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_CHUNKS_A_WRITE", 1)


@pytest.mark.parametrize("is_worked_meanwhile", [False, True])
@pytest.mark.parametrize("writes", [0, 1, 4])
async def test_a_planner_that_is_killed_plans_again(
    engine: Engine,
    users: Any,
    write_csv: WriteCsv,
    handled: list[int],
    *,
    writes: int,
    is_worked_meanwhile: bool,
) -> None:
    async with engine:
        handle = await engine.dispatch(users, write_csv([*(f"{n},{n}" for n in range(23)), "5,100"]))
        claim = await killed(engine, writes=writes)
        if is_worked_meanwhile:
            async with engine.running():
                for number in range(writes):
                    await ended(engine.handle(f"{handle.id}.0.{number}"))
            assert counts(await handle.status())[0] == min(5 * writes, 24)
        await rescued(engine, claim)
        counts(await handle.status())
        await work(engine)
        status = await handle.status()
        assert (status.status, counts(status)) == (Status.COMPLETED, (24, 0, 1, 24))
    assert sorted(handled) == list(range(23))


async def test_a_cancelled_import_is_planned_anew_by_hand(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int]
) -> None:
    async with engine:
        handle = await engine.dispatch(users, write_csv([*(f"{n},{n}" for n in range(20)), "x,y"]))
        claim = await killed(engine, writes=2)
        await handle.cancel()
        await rescued(engine, claim)
        assert (await handle.status()).status is Status.CANCELLED
        await handle.retry()
        await work(engine)
        status = await handle.status()
        assert (status.status, status.epoch, counts(status)) == (Status.PARTIAL, 1, (20, 1, 0, 21))
    assert sorted(handled) == list(range(20))


@pytest.mark.case("J17")
async def test_a_chunk_whose_worker_died_counts_once(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int]
) -> None:
    async with engine:
        handle = await engine.dispatch(users, write_csv([*(f"{n},{n}" for n in range(19)), "x,y"]))
        await planned(engine)
        claim, context = await claimed(engine)
        await users.perform(context, claim)
        assert handled == list(range(5))
        assert counts(await handle.status()) == (0, 0, 0, 20)
        await rescued(engine, claim)
        await work(engine)
        assert counts(await handle.status()) == (19, 1, 0, 20)
        assert len(await unresolved(engine, handle.id)) == 1
    assert sorted(handled) == sorted([*range(5), *range(19)])


@pytest.mark.parametrize("rows", [8, 20], ids=["single", "batch"])
async def test_rows_that_kill_their_workers_are_failed_rows(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int], rows: int
) -> None:
    async with engine:
        source = write_csv(["a,1", "b,x", "a,3", "c,4", "d,5", *(f"{n},{n}" for n in range(6, rows + 1))])
        handle = await engine.dispatch(users.options(max_crashes=1), source)
        if rows == 20:
            await planned(engine)
        claim, context = await claimed(engine, lease=0.05)
        await users.perform(context, claim)
        async with engine.running():
            status = await ended(handle)
        failed = 4 if rows == 20 else 7
        assert counts(status) == (rows - failed, failed, 1, rows)
        failures = await unresolved(engine, handle.id)
        assert failures[0].payload == {"email": "a", "age": "1"}
        assert {failure.message for failure in failures} == {"the worker dead died or stood still"}

        await engine.failures.retry(handle.id)
        await work(engine)
        assert counts(await handle.status()) == (rows - 1, 1, 1, rows)


def stored_source() -> Path:
    (path,) = (path for path in Path("aiojobs-files").rglob("*") if path.is_file())
    return path


@pytest.mark.case("J18")
@pytest.mark.parametrize("rows", [8, 20], ids=["single", "batch"])
async def test_a_source_of_another_size_fails_the_import(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int], rows: int
) -> None:
    async with engine:
        handle = await engine.dispatch(users, write_csv(rows))
        with stored_source().open("ab") as file:
            file.write(b"more,1\n")
        await work(engine)
        status = await handle.status()
    assert status.status is Status.FAILED
    assert status.error is not None
    assert (status.error.reason, handled) == ("source_changed", [])
    counts(status)


@pytest.mark.case("J18")
@pytest.mark.parametrize("change", ["rewritten", "removed"])
async def test_a_chunk_whose_rows_changed_fails_as_a_whole(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int], change: str
) -> None:
    async with engine:
        handle = await engine.dispatch(users, write_csv(20))
        await planned(engine)
        path = stored_source()
        content = path.read_bytes()
        if change == "removed":
            path.unlink()
        else:
            path.write_bytes(content.replace(b"7@b,7", b"8@b,8"))
        await work(engine)
        status = await handle.status()
        chunk = await engine.jobs.get(f"{handle.id}.0.1")
        failed = 5 if change == "rewritten" else 20
        assert counts(status) == (20 - failed, failed, 0, 20)
        assert chunk.error is not None
        assert ("storage.path" in chunk.error.message) is (change == "removed")
        failures = await unresolved(engine, handle.id)
        assert [failure.row_number for failure in failures] == list(
            range(6, 11) if failed == 5 else range(1, 21)
        )

        path.write_bytes(content)
        assert await engine.failures.retry(handle.id) == failed
        await work(engine)
        assert counts(await handle.status()) == (20, 0, 0, 20)
    assert sorted(handled) == list(range(1, 21))


@pytest.mark.case("J20")
async def test_ten_thousand_chunks_end_once_when_one_is_dead(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "_CHUNKS_A_WRITE", 1000)
    async with engine:
        handle = await engine.dispatch(users, write_csv(10_000), chunk_size=1)
        await planned(engine)
        path = stored_source()
        path.write_bytes(path.read_bytes().replace(b"\n7777@b,7777\n", b"\n8888@b,7777\n"))
        await work(engine)
        status = await handle.status()
        dead = [job.id async for job in engine.dead.list()]
        ends = [event async for event in handle.events() if type(event).__name__ == "JobCompleted"]
    assert (status.status, counts(status)) == (Status.PARTIAL, (9_999, 1, 0, 10_000))
    assert dead == [f"{handle.id}.0.7776"]
    assert len(ends) == 1
    assert len(handled) == 9_999


async def test_a_payload_that_is_no_plan_fails_for_good(engine: Engine, users: Any) -> None:
    async with engine:
        broken = Envelope(
            id="broken", type="users", kind="import", payload=msgspec.Raw(b"{}"), created_at=Instant(1)
        )
        await store_of(engine).enqueue([broken])
        await work(engine)
        status = await engine.jobs.get("broken")
    assert status.status is Status.FAILED
    assert status.error is not None
    assert (status.error.reason, status.attempts) == ("payload", 1)


async def test_a_worker_that_stops_hands_the_plan_back(
    engine: Engine, users: Any, write_csv: WriteCsv, handled: list[int]
) -> None:
    async with engine:
        handle = await engine.dispatch(users, write_csv(20))
        claim, context = await claimed(engine)
        context.stopping = True
        with pytest.raises(StopAtCheckpoint):
            await users.perform(context, claim)
        await settled(engine, claim, Status.PENDING, attempts=0)
        assert counts(await handle.status()) == (0, 0, 0, 5)
        await work(engine)
        assert counts(await handle.status()) == (20, 0, 0, 20)


async def test_cancelling_an_import_stops_its_chunks(engine: Engine, write_csv: WriteCsv) -> None:
    calls: list[str] = []

    @engine.importer("users", row=User)
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        calls.append(ctx.id)
        await ctx.engine.jobs.cancel(ctx.id.split(".")[0])

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(100))
        await engine.worker(burst=True, concurrency=1).run()
        status = await handle.status()
    assert status.status is Status.CANCELLED
    assert len(calls) < 20
    counts(status)
