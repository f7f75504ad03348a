"""Calls that both type checkers refuse, each with a comment for either. An unused one is an error too."""

from typing import Any

import msgspec

from aiojobs_engine import Engine, Job, JobContext, JobHandle, JobType, Retry

engine = Engine("memory://")


@engine.job()
async def send(account_id: int, greeting: str = "hello") -> str:
    return f"{greeting} {account_id}"


@engine.job()
async def charge(ctx: JobContext, amount: int) -> bytes:
    return bytes(amount)


@engine.job()
def checksum(path: str) -> int:
    return len(path)


class Row(msgspec.Struct):
    email: str


class OtherRow(msgspec.Struct):
    name: str


@engine.importer("users", row=Row)
async def import_users(rows: list[Row]) -> None:
    del rows


async def undecorated(account_id: int) -> None:
    del account_id


async def arguments() -> None:
    await engine.dispatch(send)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(send, "42")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(send, account_id="42")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(send, 42, "hi", 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(send, acount_id=42)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(send, account_id=42, colour="red")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(send, account_id=None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(charge)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(charge, ctx=None, amount=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(checksum, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(send.options(delay=60), "42")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(send.job(42), 42)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(undecorated, 42)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(42)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(send(42))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch_many([42])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch_many([send])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch_many("send")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch_many(send.job(text) for text in ["a"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def jobs() -> None:
    send.job()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    send.job("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    charge.job(b"5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    checksum.job(path="a", size=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    send.options(dely=60)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    send.options(delay="60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(priority="high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(priority=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(at="2030-01-01")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(expires="1h")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(tags=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    send.options(meta=["a"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(user_id=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.options(name="other")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    send.options(run_in="thread")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    send.options(60)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]


@engine.job(que="mail")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
async def unknown_option() -> None: ...


@engine.job(run_in="fiber")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def unknown_place() -> None: ...


@engine.job(retry="exponential")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def retry_by_name() -> None: ...


@engine.job(timeout="30s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def timeout_in_words() -> None: ...


@engine.importer("no_row")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
async def no_row(rows: list[Any]) -> None: ...


@engine.importer("other", row=Row)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def takes_other_rows(rows: list[OtherRow]) -> None: ...


@engine.importer("one", row=Row)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def takes_one_row(row: Row) -> None: ...


@engine.importer("columns", row=Row, columns=["email"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
async def takes_columns(rows: list[Row]) -> None: ...


@engine.importer("keys", row=Row, key=["email"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def takes_keys(rows: list[Row]) -> None: ...


async def imports() -> None:
    await engine.dispatch(import_users)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(import_users, 42)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(import_users, ["a@example.com"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await engine.dispatch(import_users, "users.csv", chunk_size="many")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(import_users, "users.csv", mapping=["email"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(import_users, "users.csv", dry=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.dispatch(import_users.options(chunk_size=5), "users.csv")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUnknownArgumentType]
    await engine.failures.retry()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def policies() -> None:
    Retry.fixed(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Retry.exponential(base=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Retry.exponential(3, 2, on="OSError")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Retry.custom(lambda failures: failures)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]
    Retry.linear(3)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def results() -> None:
    handle = await engine.dispatch(send, 42)
    number: int = await handle.result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    other: JobHandle[int] = handle  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    made: Job[int] = send.job(42)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    typed: JobType[[str], str] = send  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    timed = await handle.result(timeout="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    unawaited: str = handle.result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    (await handle.status()).state  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    handle.result()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    engine.dispatch(send, 42)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    del number, other, made, typed, timed, unawaited


async def desks() -> None:
    await engine.jobs.list(state="failed")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.jobs.list(limit="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await engine.jobs.get()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.queues.pause()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.dead.replay(all=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await engine.failures.list()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    for job in engine.jobs.list():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        del job
    (await engine.jobs.list()).rows  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def contexts(ctx: JobContext) -> None:
    ctx.attempt = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    ctx.user  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await ctx.progress("half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ctx.fail_row({})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@engine.middleware  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]
async def without_next(ctx: JobContext) -> None: ...


@engine.on("JobCompleted")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def event_by_name(event: Any) -> None: ...


@engine.on(ValueError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def no_event(event: Any) -> None: ...


@engine.on()  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]
async def takes_nothing() -> None: ...


def engines() -> None:
    Engine(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Engine("memory://", backend="memory://")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Engine(concurrency=10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    engine.include(engine)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    engine.lifespan(worker="yes")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    engine.worker(concurrency="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    engine.events(after=42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
