"""Calls of the public API that both type checkers accept, with the types that they see."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypedDict, assert_type

import msgspec

from aiojobs_engine import (
    Engine,
    GiveUp,
    Health,
    ImportReport,
    ImportType,
    Job,
    JobCompleted,
    JobContext,
    JobEvent,
    JobFailed,
    JobFailure,
    JobHandle,
    JobRegistry,
    JobStatus,
    JobStatusUpdated,
    JobType,
    Listing,
    Page,
    Requeue,
    Retry,
    Status,
    current_job,
)

engine = Engine("memory://")
registry = JobRegistry()


@dataclass
class Receipt:
    number: int
    paid_at: datetime


@engine.job(queue="mail", retry=Retry.exponential(max_attempts=5, base=2, cap=300), timeout=30)
async def send(account_id: int, greeting: str = "hello") -> str:
    return f"{greeting} {account_id}"


@engine.job(
    name="billing.charge", priority=9, expires=timedelta(hours=1), tags=["money"], meta={"region": "eu"}
)
async def charge(ctx: JobContext, amount: int) -> Receipt:
    return Receipt(number=ctx.attempt, paid_at=datetime(2026, 1, 1, tzinfo=UTC))


@registry.job(run_in="process", result_ttl=60, max_crashes=2)
def checksum(path: str) -> int:
    return len(path)


@registry.job(user_id="system")
def report(ctx: JobContext, *, day: str) -> list[str]:
    return [ctx.id, day]


@engine.job()
async def clean_up() -> None:
    assert_type(current_job(), JobContext)


@engine.job()
async def walk(ctx: JobContext, total: int) -> None:
    await ctx.progress(1, total, message="one")
    await ctx.checkpoint({"at": 1})
    ctx.logger.info("attempt %d of %s for %s", ctx.attempt, ctx.idempotency_key, ctx.user_id)
    async for number in ctx.track(numbers(), total):
        assert_type(number, int)


async def numbers() -> AsyncIterator[int]:
    yield 1


class UserRow(msgspec.Struct):
    email: str
    age: Annotated[int, msgspec.Meta(ge=0)]


class CityRow(TypedDict):
    name: str


@engine.importer("user_import", row=UserRow, key="email", chunk_size=1000, queue="bulk")
async def import_users(ctx: JobContext, rows: list[UserRow]) -> None:
    for row in rows:
        if row.age > 150:
            ctx.fail_row(row, "nobody is that old", field="age")


@registry.importer(row=CityRow, retry=Retry.none(), delimiter=";")
def import_cities(rows: list[CityRow]) -> None:
    assert_type(rows[0]["name"], str)


@engine.resources
async def pool() -> AsyncIterator[dict[str, int]]:
    yield {}


@engine.middleware
async def timing(ctx: JobContext, call_next: Callable[[], Awaitable[Any]]) -> Any:
    return await call_next()


@engine.on(JobCompleted, type="billing.charge")
async def completed(event: JobCompleted) -> None:
    assert_type(event.status, Status)


@engine.on(JobStatusUpdated, kind="job", queue="mail")
def updated(event: JobStatusUpdated) -> None:
    assert_type(event.cause, str)


@engine.on(JobCompleted, JobFailed)
async def ended(event: JobEvent) -> None:
    assert_type(event.job_id, str)


def by_hand(failures: int, error: BaseException) -> Requeue | GiveUp:
    return GiveUp() if isinstance(error, KeyError) else Requeue(failures * 10)


def policies() -> list[Retry]:
    return [
        Retry.none(),
        Retry.fixed(3, 10, on=(OSError, TimeoutError)),
        Retry.exponential(5, 2, 2.0, 300, 0.1, never_on=ValueError),
        Retry.custom(by_hand),
        Retry.custom(lambda failures, _: failures * 1.5 if failures < 4 else None),
    ]


def job_types() -> None:
    engine.include(registry)
    assert_type(send.job(1), Job[str])
    assert_type(send.job(account_id=1, greeting="hi"), Job[str])
    assert_type(charge.options(id="charge-7").job(amount=5), Job[Receipt])
    assert_type(checksum.job("a.bin"), Job[int])
    assert_type(report.job(day="2026-01-01"), Job[list[str]])
    assert_type(clean_up.job(), Job[None])
    typed: JobType[[int], Receipt] = charge
    assert_type(typed.name, str)


async def dispatches() -> None:
    assert_type(await engine.dispatch(send, 42), JobHandle[str])
    assert_type(await engine.dispatch(send, account_id=42, greeting="hi"), JobHandle[str])
    assert_type(await engine.dispatch(charge, amount=5), JobHandle[Receipt])
    assert_type(await engine.dispatch(charge.job(amount=5)), JobHandle[Receipt])
    assert_type(await engine.dispatch(report, day="2026-01-01"), JobHandle[list[str]])
    assert_type(await engine.dispatch(clean_up), JobHandle[None])
    assert_type(await engine.dispatch("billing.charge", amount=5), JobHandle[Any])
    later = send.options(
        delay=60,
        priority=9,
        user_id="u7",
        queue="slow",
        expires=datetime(2030, 1, 1, tzinfo=UTC),
        timeout=timedelta(minutes=2),
        retry=Retry.none(),
        tags=("a", "b"),
        meta={"source": "signup"},
    )
    assert_type(await engine.dispatch(later, account_id=42), JobHandle[str])
    assert_type(await engine.dispatch(send.options(at=datetime(2030, 1, 1, tzinfo=UTC)), 42), JobHandle[str])
    assert_type(await send.job(42).push(engine), JobHandle[Any])
    assert_type(await send(42), str)
    assert_type(engine.named("billing.charge").options(delay=5).job(amount=5), Job[Any])
    assert_type(engine.handle("an id"), JobHandle[Any])


async def imports() -> None:
    assert_type(import_users, ImportType[UserRow])
    assert_type(await engine.dispatch(import_users, "users.csv"), JobHandle[ImportReport])
    assert_type(
        await engine.dispatch(import_users.options(user_id=7), Path("users.csv")), JobHandle[ImportReport]
    )
    await engine.dispatch(import_users, source=[{"email": "a@example.com", "age": 1}])
    await engine.dispatch(import_cities, cities(), mapping={"City": "name"}, dry_run=True, max_failures=10)
    with Path("users.csv").open("rb") as file:
        await engine.dispatch(import_users, file, chunk_size=500, allow_duplicates=True, force_single=False)
    assert_type(await engine.failures.retry("an id"), int)


async def cities() -> AsyncIterator[dict[str, str]]:
    yield {"City": "Lyon"}


async def many() -> None:
    handles = await engine.dispatch_many(send.job(account_id=number) for number in range(10))
    assert_type(handles, list[JobHandle[str]])
    assert_type(await handles[0].result(), str)
    assert_type(await engine.dispatch_many([send.job(1), send.job(2)]), list[JobHandle[str]])
    assert_type(await engine.dispatch_many(stream()), list[JobHandle[None]])
    mixed: list[Job[Any]] = [send.job(1), charge.job(2)]
    assert_type(await engine.dispatch_many(mixed), list[JobHandle[Any]])


async def stream() -> AsyncIterator[Job[None]]:
    yield clean_up.job()


async def handles() -> None:
    handle = await engine.dispatch(charge, amount=5)
    assert_type(handle.id, str)
    assert_type(handle.created, bool)
    assert_type(await handle.status(), JobStatus)
    assert_type(await handle.result(timeout=10), Receipt)
    assert_type(await handle.result(), Receipt)
    await handle.cancel()
    await handle.retry()
    async for event in handle.events():
        assert_type(event.attempt, int)
    wide: JobHandle[object] = handle
    assert_type(wide.id, str)


async def desks() -> None:
    failed: Listing[JobStatus] = engine.jobs.list(status="failed", type="send", limit=10)
    assert_type(await failed, Page[JobStatus])
    assert_type(await engine.jobs.list(status=[Status.FAILED, Status.PARTIAL]), Page[JobStatus])
    async for job in engine.jobs.list(user_id=7, tag="a"):
        assert_type(job, JobStatus)
    assert_type(await engine.jobs.get("an id"), JobStatus)
    assert_type(await engine.jobs.purge(status="completed"), int)
    assert_type((await engine.dead.list(reason="max_attempts")).items, list[JobStatus])
    assert_type(await engine.dead.replay(type="send", limit=10), int)
    assert_type((await engine.failures.list("an id", unresolved=True)).items, list[JobFailure])
    async for queue in engine.queues.list():
        assert_type(queue.paused, bool)
    await engine.queues.pause("mail")
    assert_type((await engine.queues.stats("mail")).oldest_age, float | None)
    async for worker in engine.workers.list():
        assert_type(worker.pid, int)
    async for known in engine.types.list():
        assert_type(known.name, str)
    assert_type(await engine.health(), Health)


async def events() -> None:
    async for event in engine.events(user_id=7, type="send"):
        assert_type(event.cursor, str)
        match event:
            case JobFailed(error=error):
                assert_type(error, str)
            case _:
                assert_type(event.status, Status)


async def lives() -> None:
    async with Engine() as opened:
        assert_type(opened, Engine)
    async with engine.running(worker=False) as running:
        assert_type(running, Engine)
    async with engine:
        worker = engine.worker(queues=["mail"], concurrency=10, burst=True)
        await worker.run()
    Engine(config={"worker": {"concurrency": 10}})
    Engine.from_config("aiojobs.toml")
