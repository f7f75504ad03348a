"""J: jobs, payloads and numbers of them that a queue must bear."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import (
    BackendFull,
    ConfigError,
    IdConflict,
    IllegalTransition,
    JobCancelledError,
    JobNotFound,
    LeaseLost,
    PayloadError,
    PayloadTooLarge,
    RetryLater,
    Snooze,
    TooLate,
)
from aiojobs_engine.core.events import JobRetrying
from aiojobs_engine.core.instant import Instant, later
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.retry import MAX_DELAY, GiveUp, Requeue, Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.engine import Engine
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.testing.clock import ManualClock
from tests.cases.conftest import MakeCase, MakeEngine
from tests.cases.invariants import every_job
from tests.cases.stores import Case, clock_of, store_of, work_off


@pytest.mark.case("J1")
async def test_a_job_that_always_raises_uses_its_attempts_up_and_is_one_dead_letter(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    started: list[float] = []

    @engine.job(retry=Retry.exponential(max_attempts=5, base=2, multiplier=3, cap=30, jitter=0.15))
    async def poison() -> None:
        started.append(engine.clock.monotonic())
        raise ValueError("always")

    @engine.job()
    async def healthy(number: int) -> int:
        return number

    async with engine:
        dead = await engine.dispatch(poison)
        others = [await engine.dispatch(healthy, number=number) for number in range(20)]
        await work_off(engine)
        status = await dead.status()
        letters = (await engine.dead.list()).items
        results = [await other.result(timeout=0) for other in others]

    assert (status.status, status.attempts) == (Status.FAILED, 5)
    assert [letter.id for letter in letters] == [dead.id]
    assert results == list(range(20))
    delays = [b - a for a, b in pairwise(started)]
    for delay, plain in zip(delays, [2, 6, 18, 54], strict=True):
        assert min(plain * 0.85, 30) - 0.01 <= delay <= min(plain * 1.15, 30) + 1.1


@pytest.mark.case("J2")
async def test_a_job_whose_type_no_worker_knows_stays_queued_visible_and_uncharged(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()

    @engine.job()
    async def known() -> None: ...

    async with engine:
        lost = await engine.dispatch("app.unknown", queue="default", number=1)
        for _ in range(3):
            await engine.dispatch(known)
            await work_off(engine)
        status = await lost.status()
        listed = [job.id async for job in engine.jobs.list(status="pending")]
        ended = (await engine.queues.stats("default")).counts

    assert (status.status, status.attempts, status.crashes) == (Status.PENDING, 0, 0)
    assert listed == [lost.id]
    assert ended == {"pending": 1, "completed": 3}


@pytest.mark.case("J2")
async def test_jobs_that_no_worker_knows_cost_a_worker_no_claim_and_no_turn(make_case: MakeCase) -> None:
    case = make_case()

    @case.registry.job()
    async def known() -> None: ...

    stranger = case.other()

    @stranger.registry.job(name="unknown")
    async def unknown() -> None: ...

    await case.store.open()
    for _ in range(200):
        await case.push(unknown.job())
    async with case.running() as worker:
        await case.clock.advance(30)
        assert worker._watcher.claimed == 0
        status = await case.until_final(await case.push(known.job()))

    assert status.status is Status.COMPLETED


@pytest.mark.case("J3")
async def test_a_payload_over_the_limit_is_refused_before_any_write(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(text: str) -> None: ...

    async with engine:
        with pytest.raises(PayloadTooLarge, match=r"10,000,011 bytes.*262,144.*pass a reference"):
            await engine.dispatch(takes, text="x" * 10_000_000)
        with pytest.raises(PayloadTooLarge, match=r"262,144"):
            await engine.dispatch("app.elsewhere", queue="default", text="x" * 10_000_000)
        with pytest.raises(PayloadTooLarge, match=r"meta"):
            await engine.dispatch(takes.options(meta={"text": "x" * 10_000_000}), text="")
        assert await every_job(store_of(engine)) == []


@pytest.mark.case("J3")
async def test_with_a_raised_limit_a_large_payload_arrives_whole(make_engine: MakeEngine) -> None:
    engine = make_engine(limits={"payload_bytes": 20_000_000, "result_bytes": 20_000_000})
    text = "x" * 10_000_000

    @engine.job()
    async def echoes(text: str) -> str:
        return text

    async with engine:
        handle = await engine.dispatch(echoes, text=text)
        await work_off(engine)
        assert await handle.result(timeout=0) == text


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found


@pytest.mark.case("J4")
@pytest.mark.parametrize("levels", [64, 1_001, 100_000])
async def test_arguments_that_nest_too_deep_are_refused(make_engine: MakeEngine, levels: int) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(value: Any) -> None: ...

    async with engine:
        with pytest.raises(PayloadError):
            await engine.dispatch(takes, value=nested(levels))
        with pytest.raises(PayloadError):
            await engine.dispatch("app.elsewhere", queue="default", value=nested(levels))
        with pytest.raises(PayloadError):
            await engine.dispatch(takes.options(meta={"value": nested(levels)}), value=1)
        text = b'{"value":' + b"[" * levels + b"]" * levels + b"}"
        with pytest.raises(PayloadError, match="64 levels"):
            takes.job_from_json(text)
        assert await every_job(store_of(engine)) == []


@pytest.mark.case("J4")
async def test_arguments_of_64_levels_with_the_object_around_them_arrive(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def echoes(value: Any) -> Any:
        return value

    async with engine:
        handle = await engine.dispatch(echoes, value=nested(63))
        await work_off(engine)
        assert await handle.result(timeout=0) == nested(63)


REFUSED_VALUES: dict[str, Any] = {
    "nan": math.nan,
    "infinity": math.inf,
    "inside": {"ratio": [1.0, -math.inf]},
    "5,000 digits": 10**5_000,
    "keys that are numbers": {1: "a"},
    "keys that collide": {1: "a", "1": "b"},
    "tuple": (1, 2),
    "bytes": b"raw",
    "set": {1},
    "lone surrogate": "\ud800",
    "lone surrogate as a key": {"\udfff": 1},
    "function": print,
    "generator": (number for number in (1, 2)),
}


@pytest.mark.case("J5", "J6")
@pytest.mark.parametrize("value", REFUSED_VALUES.values(), ids=REFUSED_VALUES.keys())
async def test_what_would_not_arrive_as_it_was_sent_is_refused(
    make_engine: MakeEngine, value: object
) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(value: Any) -> None: ...

    async with engine:
        for what in (takes, "app.elsewhere"):
            named = {} if what is takes else {"queue": "default"}
            with pytest.raises(PayloadError):
                await engine.dispatch(what, value=value, **named)
        with pytest.raises(PayloadError):
            await engine.dispatch(takes.options(meta={"value": value}), value=1)
        assert await every_job(store_of(engine)) == []


REFUSED_JSON: dict[str, bytes] = {
    "nan": b'{"value":NaN}',
    "infinity": b'{"value":Infinity}',
    "1e999": b'{"value":1e999}',
    "5,000 digits": b'{"value":' + b"9" * 5_000 + b"}",
    "lone surrogate": b'{"value":"\\ud800"}',
    "not UTF-8": b'{"value":"\xff"}',
    "a list": b"[1]",
    "nothing": b"",
    "half": b'{"value":',
    "two": b'{"value":1}{"value":2}',
}


@pytest.mark.case("J5", "J6")
@pytest.mark.parametrize("text", REFUSED_JSON.values(), ids=REFUSED_JSON.keys())
async def test_json_that_no_value_stands_for_is_refused(make_engine: MakeEngine, text: bytes) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(value: Any) -> None: ...

    async with engine:
        with pytest.raises(PayloadError):
            await engine.dispatch(takes.job_from_json(text))
        elsewhere = engine.named("app.elsewhere").options(queue="default")
        with pytest.raises(PayloadError):
            await engine.dispatch(elsewhere.job_from_json(text))
        assert await every_job(store_of(engine)) == []


@pytest.mark.case("J5")
async def test_of_a_key_that_json_text_holds_twice_the_last_one_counts(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def echoes(value: int) -> int:
        return value

    async with engine:
        handle = await engine.dispatch(echoes.job_from_json(b'{"value":1,"value":2}'))
        await work_off(engine)
        assert await handle.result(timeout=0) == 2


@pytest.mark.case("J6")
async def test_lone_surrogates_in_names_are_refused_and_in_error_texts_escaped(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()

    @engine.job(retry=Retry.none())
    async def broken() -> None:
        raise ValueError("before \ud800 after")

    async with engine:
        for option in ("id", "queue"):
            with pytest.raises(ConfigError, match="1 to 128 of A-Z"):
                await engine.dispatch(broken.options(**{option: "a\ud800"}).job())  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="1 to 128 of A-Z"):
            await engine.dispatch(broken.options(tags=["\ud800"]))
        handle = await engine.dispatch(broken)
        await work_off(engine)
        status = await handle.status()

    assert status.status is Status.FAILED
    assert status.error is not None
    assert status.error.message == "before \\ud800 after"
    assert "\\ud800" in status.error.traceback


ODD_NAMES = ["", "a b", "x" * 129, "x" * 10_000, "a\0", "a\nb", "a\r\nb", "\x1b[31mred", "\u202eabc", "naïve"]


@pytest.mark.case("J7")
@pytest.mark.parametrize("name", ODD_NAMES, ids=[ascii(name)[:12] for name in ODD_NAMES])
async def test_names_are_1_to_128_plain_characters(make_engine: MakeEngine, name: str) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    attempts: list[Callable[[], Any]] = [
        lambda: any_job.options(id=name),
        lambda: any_job.options(queue=name),
        lambda: any_job.options(tags=[name]),
        lambda: engine.job(name=name or "\n"),
        lambda: engine.job(queue=name),
        lambda: engine.named(name),
        lambda: engine.handle(name),
        lambda: Engine("memory://", config={"worker": {"queues": [name]}}),
    ]
    async with engine:
        for attempt in attempts[:3] + attempts[5:]:
            with pytest.raises(ConfigError):
                attempt()
        for decorate in attempts[3:5]:
            with pytest.raises(ConfigError):
                decorate()(_plain)
        with pytest.raises(ConfigError):
            await engine.queues.pause(name)
        with pytest.raises(ConfigError):
            await engine.dispatch("app.elsewhere", queue=name)
        assert await every_job(store_of(engine)) == []


async def _plain() -> None: ...


@pytest.mark.case("J8")
async def test_what_a_caller_changes_after_the_dispatch_does_not_reach_the_job(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    seen: list[Any] = []

    @engine.job()
    async def takes(ctx: JobContext, rows: list[dict[str, int]]) -> None:
        seen.append((rows, dict(ctx.meta), ctx.tags))
        rows.append({"c": 3})

    rows, meta, tags = [{"a": 1}], {"page": [1]}, ["nightly"]
    async with engine:
        job = takes.options(meta=meta, tags=tags, retry=Retry.fixed(2, 0)).job(rows=rows)
        await engine.dispatch(job)
        rows[0]["a"] = 2
        rows.append({"b": 2})
        meta["page"].append(2)
        tags.append("late")
        status = await engine.jobs.get(job.id)
        assert isinstance(status.meta, dict)
        status.meta["page"].append(3)
        await work_off(engine)
        after = await engine.jobs.get(job.id)

    assert seen == [([{"a": 1}, {"c": 3}], {"page": [1]}, ("nightly",))]
    assert after.meta == {"page": [1]}


@pytest.mark.case("J10")
async def test_a_full_memory_store_refuses_whole_dispatches_until_there_is_room() -> None:
    clock = ManualClock()
    store = MemoryBackend(clock=clock, max_jobs=10)
    engine = Engine(backend=store, clock=clock)

    @engine.job()
    async def any_job(number: int) -> None: ...

    async with engine:
        await engine.dispatch_many(any_job.job(number=number) for number in range(9))
        with pytest.raises(BackendFull, match="at most 10 jobs"):
            await engine.dispatch_many(any_job.job(number=number) for number in range(2))
        assert len(await every_job(store)) == 9
        last = any_job.job(number=9)
        await engine.dispatch(last)
        with pytest.raises(BackendFull, match="at most 10 jobs"):
            await engine.dispatch(any_job, number=10)
        assert not (await engine.dispatch(last)).created
        await work_off(engine)
        assert {job.status for job in await every_job(store)} == {Status.COMPLETED}
        await engine.queues.purge("default")
        await engine.jobs.delete(last.id)
        assert (await engine.dispatch(any_job, number=11)).created


@pytest.mark.case("J9", "J11")
async def test_ten_thousand_jobs_due_at_once_are_claimed_no_faster_than_they_can_run(
    make_case: MakeCase,
) -> None:
    case = make_case()
    store, calls = case.store, []
    running = most = ran = 0

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def claim(self, watch: Watch, limit: int, *rest: Any) -> Any:
            claims = await store.claim(watch, limit, *rest)
            calls.append((limit, len(claims), running))
            return claims

        async def promote(self, limit: int) -> Any:
            assert limit <= 1_000
            return await store.promote(limit)

    @case.registry.job()
    async def one(number: int) -> None:
        nonlocal running, most, ran
        running += 1
        most = max(most, running)
        await case.clock.sleep(0)
        running -= 1
        ran += 1

    await store.open()
    due = later(case.clock.now(), 5)
    await store.enqueue([_due(case, one.job(number=number), due) for number in range(10_000)])
    case.store = Counted()
    async with case.running():
        await case.clock.advance(4.9)
        assert ran == 0
        while ran < 10_000:
            await case.clock.advance(0.1)

    assert most == 10
    assert max(limit for limit, _, _ in calls) <= 10 + 200


def _due(case: Case, job: Job[Any], at: Instant) -> Envelope:
    return Envelope(
        id=job.id,
        type=job.type,
        payload=msgspec.Raw(job.payload),
        created_at=case.clock.now(),
        scheduled_at=at,
    )


@pytest.mark.case("J12")
@pytest.mark.parametrize(
    "retry",
    [
        Retry.exponential(max_attempts=100_000, base=2, multiplier=10),
        Retry.exponential(max_attempts=100_000, base=1e300, multiplier=1e300, jitter=1),
        Retry.custom(lambda failures, error: 10**400),
        Retry.custom(lambda failures, error: math.inf),
        Retry.custom(lambda failures, error: Requeue(1e300)),
    ],
)
def test_a_delay_beyond_all_bounds_becomes_the_longest_one(retry: Retry) -> None:
    assert retry.decide(10_000, ValueError()) == Requeue(MAX_DELAY)


@pytest.mark.case("J12")
@pytest.mark.parametrize("answer", [-1, -math.inf, math.nan, Requeue(math.nan), Requeue(-(10**400))])
def test_a_delay_that_is_negative_or_no_number_becomes_none(answer: Any) -> None:
    assert Retry.custom(lambda failures, error: answer).decide(1, ValueError()) == Requeue(0.0)


def _exits(failures: int, error: BaseException) -> float:
    raise SystemExit(failures)


@pytest.mark.case("J12")
@pytest.mark.parametrize("policy", [lambda failures, error: "soon", lambda failures, error: [], _exits])
def test_a_policy_that_answers_nonsense_or_raises_gives_the_job_up(policy: Any) -> None:
    assert Retry.custom(policy).decide(1, ValueError()) == GiveUp("retry_policy")


@pytest.mark.case("J12")
@pytest.mark.parametrize(
    "signal, delay",
    [
        (Snooze(-5), 0),
        (Snooze(math.nan), 0),
        (RetryLater(-math.inf), 0),
        (Snooze(math.inf), MAX_DELAY),
        (RetryLater(10**400), MAX_DELAY),
    ],
    ids=str,
)
async def test_the_delay_that_a_handler_asks_for_is_kept_within_bounds(
    make_case: MakeCase, signal: BaseException, delay: float
) -> None:
    case = make_case()

    @case.registry.job(retry=Retry.fixed(3, 1))
    async def odd(ctx: JobContext) -> None:
        if not ctx.meta["seen"]:
            ctx.meta["seen"].append(signal)
            raise signal

    async with case.running():
        job_id = await case.push(odd.job(), meta={"seen": []})
        await case.clock.rest()
        (told,) = [event for event in await case.events(job_id) if isinstance(event, JobRetrying)][:1]

    assert told.due_at - told.at == delay * 1000


@pytest.mark.case("J13")
async def test_an_id_that_comes_again_is_the_same_job_or_a_conflict(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(number: int) -> int:
        return number

    @engine.job()
    async def takes_too(number: int) -> int:
        return -number

    async with engine:
        first = await engine.dispatch(takes.options(id="order-1"), number=1)
        again = await engine.dispatch(takes.options(id="order-1"), number=1)
        assert (first.created, again.created) == (True, False)
        for other in (
            takes.options(id="order-1").job(number=2),
            takes_too.options(id="order-1").job(number=1),
            takes.options(id="order-1", queue="mail").job(number=1),
        ):
            with pytest.raises(IdConflict, match="order-1"):
                await engine.dispatch(other)
        await work_off(engine)
        assert not (await engine.dispatch(takes.options(id="order-1"), number=1)).created
        assert await again.result(timeout=0) == 1
        assert len(await every_job(store_of(engine))) == 1


@pytest.mark.case("J14")
async def test_a_cancel_ends_a_queued_job_tells_a_running_one_and_comes_too_late_for_an_ended_one(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    clock = clock_of(engine)
    cleaned: list[float] = []

    @engine.job()
    async def slow() -> None:
        try:
            await clock.sleep(100)
        finally:
            cleaned.append(clock.monotonic())

    @engine.job()
    async def quick() -> None: ...

    async with engine:
        queued = await engine.dispatch(slow.options(delay=60))
        await queued.cancel()
        await queued.cancel()
        assert (await queued.status()).status is Status.CANCELLED
        async with engine.running():
            running, ended = await engine.dispatch(slow), await engine.dispatch(quick)
            await clock.rest()
            asked_at = clock.monotonic()
            await running.cancel()
            await running.cancel()
            await clock.advance(2.0 / 3)
            assert (await running.status()).status is Status.CANCELLED
            with pytest.raises(JobCancelledError):
                await running.result(timeout=0)
            with pytest.raises(TooLate, match=r"completed, so it can't cancel"):
                await ended.cancel()
        with pytest.raises(JobNotFound):
            await engine.jobs.cancel("never-was")

    assert cleaned[0] - asked_at <= 2.0 / 3 + 0.01


@pytest.mark.case("J15")
async def test_a_queue_that_is_paused_purged_and_deleted_under_load_keeps_no_orphan(
    make_case: MakeCase,
) -> None:
    case = make_case(concurrency=20)
    engine = Engine(backend=case.store, clock=case.clock, config=case.settings)
    lost: list[str] = []
    release: list[float] = []

    @case.registry.job(name="task")
    async def task(ctx: JobContext, number: int) -> None:
        await case.clock.sleep(0.5 + number % 7 / 10)
        try:
            await ctx.progress(1, 1)
        except LeaseLost:
            lost.append(ctx.id)
            raise
        release.append(case.clock.monotonic())

    async with engine, case.running():
        ids = [await case.push(task.job(number=number)) for number in range(100)]
        await case.clock.advance(0.3)
        await engine.queues.pause("default")
        running = [job.id async for job in engine.jobs.list(status="processing")]
        assert len(running) == 20
        with pytest.raises(IllegalTransition, match="processing, so it can't delete"):
            await engine.jobs.delete(running[0])
        purged = await engine.queues.purge("default")
        await case.clock.advance(5)
        left = {job.id: job.status for job in await every_job(case.store)}
        await engine.queues.resume("default")
        await case.clock.advance(5)
        counts = {key: count for key, count in (await case.store.counts()).items() if count}

    assert purged == 80
    assert lost == []
    assert left == dict.fromkeys(running, Status.COMPLETED)
    assert set(left) <= set(ids)
    assert counts == {("default", Status.COMPLETED): 20}


@pytest.mark.case("J15")
async def test_a_run_of_a_job_that_was_deleted_meanwhile_has_lost_its_lease(make_case: MakeCase) -> None:
    case = make_case()

    @case.registry.job()
    async def task() -> None: ...

    await case.store.open()
    job = task.job()
    await case.push(job)
    watch = Watch("slow", ("default",), (task.name,))
    (claim,) = await case.store.claim(watch, 1, 2.0)
    await case.clock.advance(3)
    (rescued,) = await case.store.rescue("other", 1, 2.0)
    assert await case.store.cancel([job.id])
    async with case.running():
        await case.clock.advance(5)
        assert await case.store.delete([job.id]) == [True]
        await case.push(job)
        answers = await case.store.extend([claim.lease, rescued.lease], 2.0)
        await case.clock.advance(5)

    assert [answer.held for answer in answers] == [False, False]
