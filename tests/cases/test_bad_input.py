"""Bad input at the engine's edge: each a typed error that says what to do, and nothing stored by halves."""

import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aiojobs_engine import Engine, JobContext, Retry, RetryLater, Snooze
from aiojobs_engine.core.errors import (
    ConfigError,
    EngineError,
    JobNotFound,
    PayloadError,
    PayloadTooLarge,
    UnknownJobType,
)
from aiojobs_engine.core.events import JobProgressed
from aiojobs_engine.core.state import Status
from tests.cases.conftest import MakeCase, MakeEngine
from tests.cases.invariants import every_job
from tests.cases.stores import store_of

NOW_WITHOUT_ZONE = datetime(2026, 1, 1)  # noqa: DTZ001 - the point

WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"dealy": 5}, "no option 'dealy'; did you mean 'delay'"),
    ({"delay": -1}, "delay must be seconds of at least 0"),
    ({"delay": math.nan}, "delay must be seconds of at least 0"),
    ({"delay": math.inf}, "delay must be seconds of at least 0"),
    ({"delay": "soon"}, "delay must be seconds of at least 0"),
    ({"delay": True}, "delay must be seconds of at least 0"),
    ({"delay": timedelta(seconds=-1)}, "delay must be seconds of at least 0"),
    ({"at": NOW_WITHOUT_ZONE}, "at must be a datetime with a time zone"),
    ({"at": 12}, "at must be a datetime with a time zone"),
    ({"delay": 1, "at": NOW_WITHOUT_ZONE}, "delay and at exclude each other"),
    ({"delay": 10, "expires": 5}, "would expire before it is due"),
    ({"expires": NOW_WITHOUT_ZONE}, "expires must be a datetime with a time zone"),
    ({"timeout": -1}, "timeout must be seconds of at least 0"),
    ({"timeout": None}, "timeout must be seconds of at least 0"),
    ({"result_ttl": 1e300}, "result_ttl must be seconds of at least 0"),
    ({"priority": 1.5}, "priority must be a whole number"),
    ({"priority": 2**31}, "priority must be a whole number within"),
    ({"priority": True}, "priority must be a whole number"),
    ({"retry": 3}, "retry must be made by Retry"),
    ({"retry": Retry.custom(lambda failures, error: 1)}, "only a schedule travels"),
    ({"max_crashes": 0}, "max_crashes must be a whole number of at least 1"),
    ({"tags": "nightly"}, "tags must be a list of strings"),
    ({"tags": [1]}, "a tag must be 1 to 128"),
    ({"tags": ["a"] * 101}, "tags must be at most 100, got 101"),
    ({"meta": [1]}, "meta must be a mapping with string keys"),
    ({"meta": {1: 2}}, "meta must be a mapping with string keys"),
    ({"user_id": 1.5}, "user_id must be a string or a whole number"),
    ({"user_id": "a\0b"}, "user_id must be text without NUL"),
    ({"user_id": "\ud800"}, "user_id must be text without NUL and lone surrogates"),
    ({"user_id": "u" * 201}, "user_id must have at most 200 characters or digits"),
    ({"user_id": -(10**5_000)}, "user_id must have at most 200 characters or digits"),
    ({"id": 5}, "id must be a string"),
]


@pytest.mark.parametrize("options, message", WRONG_OPTIONS, ids=[message for _, message in WRONG_OPTIONS])
async def test_a_wrong_option_is_named_and_nothing_is_stored(
    make_engine: MakeEngine, options: dict[str, Any], message: str
) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    async with engine:
        with pytest.raises(ConfigError, match=message):
            await engine.dispatch(any_job.options(**options))
        with pytest.raises(ConfigError, match=message):
            await engine.dispatch(engine.named("app.elsewhere").options(**options, queue="default").job())
        assert await every_job(store_of(engine)) == []


WRONG_ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any], str | None, str]] = [
    ((), {}, "count", "Missing required argument 'count'"),
    ((), {"cuont": 1}, "cuont", "did you mean 'count'"),
    ((), {"count": 1, "other": 1}, "other", "it takes count, name"),
    ((1, "a", 3), {}, None, "takes 2 positional arguments, got 3"),
    ((1,), {"count": 1}, "count", "given by name and position"),
    ((), {"count": "one"}, "count", "Expected `int`, got `str`"),
    ((), {"count": 1.5}, "count", "Expected `int`, got `float`"),
    ((), {"count": None}, "count", "Expected `int`, got `null`"),
    ((), {"count": 1, "name": 5}, "name", "Expected `str`, got `int`"),
    ((), {"count": math.nan}, "count", "holds nan, and JSON has no such number"),
]


@pytest.mark.parametrize("args, kwargs, argument, message", WRONG_ARGUMENTS)
async def test_a_wrong_argument_is_named_and_nothing_is_stored(
    make_engine: MakeEngine, args: tuple[Any, ...], kwargs: dict[str, Any], argument: str | None, message: str
) -> None:
    engine = make_engine()

    @engine.job(name="app.counted")
    async def counted(count: int, name: str = "") -> None: ...

    async with engine:
        for what in (counted, "app.counted"):
            with pytest.raises(PayloadError, match=message) as caught:
                await engine.dispatch(what, *args, **kwargs)
            assert caught.value.argument == argument
            assert str(caught.value).startswith("app.counted")
        assert await every_job(store_of(engine)) == []


async def test_of_many_jobs_with_a_wrong_one_whole_slices_before_it_are_stored(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()

    @engine.job()
    async def counted(count: int) -> None: ...

    async with engine:
        with pytest.raises(PayloadError, match="job 1500: ") as caught:
            await engine.dispatch_many(
                counted.job(count=number if number != 1500 else "x")  # type: ignore[arg-type]
                for number in range(2500)
            )
        assert caught.value.index == 1500
        assert len(await every_job(store_of(engine))) == 1000


async def test_a_delay_beyond_every_calendar_leaves_the_listings_whole(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    async with engine:
        await engine.dispatch(any_job.options(delay=2**39))
        (found,) = (await engine.jobs.list()).items

    assert found.scheduled_at is not None
    assert found.scheduled_at.year == 9999


@pytest.mark.parametrize("what", [None, 5, b"app.job", print, object(), ["app.job"]])
async def test_what_is_no_job_is_refused(make_engine: MakeEngine, what: Any) -> None:
    engine = make_engine()
    async with engine:
        with pytest.raises(ConfigError, match=r"is no job, job type or name of one; "):
            await engine.dispatch(what)
        with pytest.raises(ConfigError):
            await engine.dispatch_many([what])
        assert await every_job(store_of(engine)) == []


async def test_an_unknown_job_type_is_refused_with_what_can_be_done(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job(name="app.send_welcome")
    async def send_welcome() -> None: ...

    async with engine:
        with pytest.raises(UnknownJobType, match=r"did you mean 'app\.send_welcome'"):
            await engine.dispatch("app.send_welcom")
        with pytest.raises(UnknownJobType, match="start a worker that has it, or give queue="):
            await engine.dispatch("zzz")
        assert await every_job(store_of(engine)) == []


NO_IDS: list[Any] = ["", "never-was", "a b", "a\0", "\ud800", "x" * 100_000, "\u202e", 5, None, b"id"]
Asked = Callable[[Engine, Any], Awaitable[Any]]
ASKED: dict[str, Asked] = {
    "get": lambda engine, found: engine.jobs.get(found),
    "cancel": lambda engine, found: engine.jobs.cancel(found),
    "pause": lambda engine, found: engine.jobs.pause(found),
    "resume": lambda engine, found: engine.jobs.resume(found),
    "retry": lambda engine, found: engine.jobs.retry(found),
    "delete": lambda engine, found: engine.jobs.delete(found),
    "dead": lambda engine, found: engine.dead.get(found),
    "failures": lambda engine, found: _page(engine.failures.list(found)),
}


async def _page(listing: Any) -> Any:
    return await listing


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
async def test_an_id_that_no_job_has_is_not_found_whatever_it_is(
    make_engine: MakeEngine, asked: Asked
) -> None:
    engine = make_engine()
    async with engine:
        for job_id in NO_IDS:
            with pytest.raises(JobNotFound):
                await asked(engine, job_id)


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "x" * 100_000, "'; --", "%", "\u202e"])
async def test_a_listing_by_any_text_finds_what_is_equal_and_nothing_else(
    make_engine: MakeEngine, text: str
) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    async with engine:
        for user in ("a", "b", "0", "'"):
            await engine.dispatch(any_job.options(user_id=user, tags=["nightly"]))
        for by in ("user_id", "tag", "queue", "type", "kind", "parent_id"):
            assert (await engine.jobs.list(**{by: text})).items == []  # type: ignore[arg-type]
        for by in ("type", "queue", "reason"):
            assert (await engine.dead.list(**{by: text})).items == []  # type: ignore[arg-type]
            assert await engine.dead.replay(**{by: text}) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("cursor", ["", "x", "\ud800", "-1", "9" * 100, 5, b"1"])
async def test_what_is_no_cursor_is_refused(make_engine: MakeEngine, cursor: Any) -> None:
    engine = make_engine()
    async with engine:
        with pytest.raises(ConfigError, match="cursor"):
            await engine.jobs.list(cursor=cursor)
        with pytest.raises(ConfigError, match="cursor"):
            await anext(engine.events(after=cursor))


@pytest.mark.parametrize("limit", [0, -1, 1001, "10", 1.5, True])
async def test_what_is_no_size_of_a_page_is_refused(make_engine: MakeEngine, limit: Any) -> None:
    engine = make_engine()
    async with engine:
        with pytest.raises(ConfigError, match="limit"):
            await engine.jobs.list(limit=limit)
        with pytest.raises(ConfigError, match="limit"):
            await engine.dead.replay(limit=limit if limit != 1001 else 0)


@pytest.mark.parametrize("name", ["", "\ud800", "a b", 5, None])
async def test_what_is_no_queue_is_refused(make_engine: MakeEngine, name: Any) -> None:
    engine = make_engine()
    async with engine:
        for act in (engine.queues.pause, engine.queues.resume, engine.queues.purge, engine.queues.stats):
            with pytest.raises(ConfigError, match="queue"):
                await act(name)
        assert (await engine.queues.list()).items == []


Did = Callable[[JobContext], Awaitable[Any]]
WRONG_CALLS: dict[str, tuple[Did, type[EngineError]]] = {
    "progress -1": (lambda ctx: ctx.progress(-1), ConfigError),
    "progress 2**63": (lambda ctx: ctx.progress(2**63), ConfigError),
    "progress 1.5": (lambda ctx: ctx.progress(1.5), ConfigError),  # type: ignore[arg-type]
    "progress nan": (lambda ctx: ctx.progress(math.nan), ConfigError),  # type: ignore[arg-type]
    "progress text": (lambda ctx: ctx.progress("5"), ConfigError),  # type: ignore[arg-type]
    "progress None": (lambda ctx: ctx.progress(None), ConfigError),  # type: ignore[arg-type]
    "total -1": (lambda ctx: ctx.progress(1, -1), ConfigError),
    "total 2**70": (lambda ctx: ctx.progress(1, 2**70), ConfigError),
    "total inf": (lambda ctx: ctx.progress(1, math.inf), ConfigError),  # type: ignore[arg-type]
    "message 5": (lambda ctx: ctx.progress(1, 2, 5), ConfigError),  # type: ignore[arg-type]
    "checkpoint nan": (lambda ctx: ctx.checkpoint(math.nan), PayloadError),
    "checkpoint tuple": (lambda ctx: ctx.checkpoint((1, 2)), PayloadError),
    "checkpoint bytes": (lambda ctx: ctx.checkpoint(b"raw"), PayloadError),
    "checkpoint object": (lambda ctx: ctx.checkpoint(object()), PayloadError),
    "checkpoint surrogate": (lambda ctx: ctx.checkpoint("\ud800"), PayloadError),
    "checkpoint 10 MB": (lambda ctx: ctx.checkpoint("x" * 10_000_000), PayloadTooLarge),
}


@pytest.mark.parametrize("did, kind", WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
async def test_a_wrong_call_on_the_context_raises_there_and_writes_nothing(
    make_case: MakeCase, did: Did, kind: type[EngineError]
) -> None:
    case = make_case()
    raised: list[BaseException] = []

    @case.registry.job()
    async def careless(ctx: JobContext) -> str:
        await ctx.progress(3, 10, "before")
        try:
            await did(ctx)
        except EngineError as error:
            raised.append(error)
        return "done"

    async with case.running() as worker:
        status = await case.until_final(await case.push(careless.job()))
        assert worker.is_healthy
        names = await case.names(status.id)

    assert [type(error) for error in raised] == [kind]
    assert (status.status, status.result) == (Status.COMPLETED, "done")
    assert (status.processed, status.total, status.message) == (3, 10, "before")
    assert names == ["JobCreated", "JobStarted", "JobProgressed", "JobCompleted"]


@pytest.mark.parametrize(
    "message, shown",
    [
        ("\ud800 and \0", "\\ud800 and \\0"),
        ("\x1b[31mred\r\n", "\x1b[31mred\r\n"),
        ("x" * 10_000_000, "x" * 8_172),
        ("", ""),
    ],
    ids=["surrogate and NUL", "control characters", "10 MB", "empty"],
)
async def test_any_message_of_a_progress_is_stored_within_its_bound(
    make_case: MakeCase, message: str, shown: str
) -> None:
    case = make_case()

    @case.registry.job()
    async def talkative(ctx: JobContext) -> None:
        await ctx.progress(1, 1, message)

    async with case.running():
        status = await case.until_final(await case.push(talkative.job()))
        told = [event for event in await case.events(status.id) if isinstance(event, JobProgressed)]

    assert status.status is Status.COMPLETED
    assert status.message is not None
    assert status.message.startswith(shown)
    assert len(status.message) <= 16 * 1024
    assert [event.message for event in told] == [status.message]


@pytest.mark.parametrize(
    "signal, seconds",
    [(Snooze, "10"), *((signal, seconds) for signal in (Snooze, RetryLater) for seconds in (None, [], True))],
)
def test_a_signal_that_takes_seconds_takes_numbers_only(signal: Any, seconds: Any) -> None:
    with pytest.raises(ConfigError, match="takes seconds as a number"):
        signal(seconds)
