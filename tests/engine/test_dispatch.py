"""What a dispatch stores, and what it refuses."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import (
    BackendFull,
    ConfigError,
    Engine,
    IdConflict,
    Job,
    JobRegistry,
    PayloadError,
    PayloadTooLarge,
    Retry,
    Status,
)
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing import ManualClock
from tests.engine.tasks import begin


@dataclasses.dataclass
class Order:
    id: UUID
    price: Decimal
    at: datetime


def adding(engine: Engine, **options: Any) -> Any:
    @engine.job(name="add", **options)
    async def add(a: int, b: int = 1) -> int:
        return a + b

    return add


async def envelope_of(engine: Engine, job_id: str) -> Envelope:
    (envelope,) = await engine._life.door().store.envelopes([job_id])
    assert envelope is not None
    return envelope


async def test_a_dispatched_job_comes_back_with_what_the_handler_returned(engine: Engine) -> None:
    add = adding(engine)

    async with engine.running():
        handle = await engine.dispatch(add, 1, b=2)

        assert await handle.result(timeout=10) == 3
        assert handle.created
        assert (await handle.status()).status is Status.COMPLETED


async def test_structs_dates_and_decimals_go_through_unchanged(engine: Engine) -> None:
    @engine.job(name="same")
    async def same(order: Order) -> Order:
        return order

    order = Order(UUID(int=7), Decimal("1.10"), datetime(2026, 1, 1, tzinfo=UTC))

    async with engine.running():
        handle = await engine.dispatch(same, order)

        assert await handle.result(timeout=10) == order


async def test_a_wrong_argument_is_named_before_anything_is_stored(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        with pytest.raises(PayloadError) as caught:
            await engine.dispatch(add, a="many")

        assert caught.value.argument == "a"
        assert (await engine.jobs.list()).items == []


async def test_the_same_job_dispatched_twice_is_one_job(engine: Engine) -> None:
    add = adding(engine)
    job = add.job(a=1)

    async with engine:
        first = await engine.dispatch(job)
        second = await job.push(engine)

        assert (first.id, first.created) == (job.id, True)
        assert (second.id, second.created) == (job.id, False)
        assert len((await engine.jobs.list()).items) == 1


async def test_an_id_of_the_callers_own_makes_a_dispatch_repeatable(engine: Engine) -> None:
    add = adding(engine)
    once = add.options(id="order-7")

    async with engine:
        handles = [await engine.dispatch(once, a=1) for _ in range(2)]

        assert [(handle.id, handle.created) for handle in handles] == [("order-7", True), ("order-7", False)]


async def test_an_id_that_another_job_has_is_refused(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        await engine.dispatch(add.options(id="one"), a=1)

        with pytest.raises(IdConflict, match="'one'"):
            await engine.dispatch(add.options(id="one"), a=2)


async def test_concurrent_dispatches_share_writes_and_all_get_their_own_handle() -> None:
    writes: list[int] = []

    class Counting(MemoryBackend):
        async def enqueue(self, envelopes: Any) -> Any:
            writes.append(len(envelopes))
            return await super().enqueue(envelopes)

    engine = Engine(backend=Counting(clock=SystemClock()))
    add = adding(engine)

    async with engine:
        handles = await asyncio.gather(*(engine.dispatch(add, a=number) for number in range(500)))

    assert len({handle.id for handle in handles}) == 500
    assert len(writes) <= 2


async def test_a_dispatch_that_fails_fails_none_of_its_neighbours(engine: Engine) -> None:
    add = adding(engine)
    bad_meta: Any = {"text": "\ud800"}

    async with engine:
        answers = await asyncio.gather(
            engine.dispatch(add, a=1),
            engine.dispatch(add, a="one"),
            engine.dispatch(add.options(meta=bad_meta), a=1),
            engine.dispatch(add, a=2),
            return_exceptions=True,
        )

        assert [isinstance(answer, PayloadError) for answer in answers] == [False, True, True, False]
        assert len((await engine.jobs.list()).items) == 2


async def test_a_full_store_refuses_with_a_typed_error() -> None:
    engine = Engine(backend=MemoryBackend(clock=SystemClock(), max_jobs=1))
    add = adding(engine)

    async with engine:
        await engine.dispatch(add, a=1)

        with pytest.raises(BackendFull):
            await engine.dispatch(add, a=2)


async def test_a_loop_of_dispatches_lets_other_tasks_go_on(engine: Engine) -> None:
    add = adding(engine)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with engine:
        turning = begin(turn())
        for number in range(20):
            await engine.dispatch(add, a=number)
        turning.cancel()

    assert turns >= 20


async def test_a_cancelled_dispatch_leaves_the_others_of_its_write_alone(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        first = begin(engine.dispatch(add, a=1))
        second = begin(engine.dispatch(add, a=2))
        await checkpoint()
        first.cancel()

        assert (await second).created
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize(
    "what, hint",
    [
        (lambda: None, "@engine.job"),
        (42, "no job, job type or name"),
        ({"type": "add"}, "handler.job"),
        (None, "no job"),
    ],
)
async def test_what_is_no_job_is_refused_with_a_hint(engine: Engine, what: Any, hint: str) -> None:
    async with engine:
        with pytest.raises(ConfigError, match=hint):
            await engine.dispatch(what)


async def test_a_job_has_its_arguments_already(engine: Engine) -> None:
    add = adding(engine)
    dispatch: Any = engine.dispatch

    async with engine:
        with pytest.raises(ConfigError, match="has its arguments already"):
            await dispatch(add.job(a=1), b=2)


async def test_call_options_travel_in_the_envelope() -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)
    add = adding(engine, queue="slow", priority=1, tags=["a"], meta={"by": "type"})
    call = add.options(
        queue="fast",
        priority=9,
        retry=Retry.fixed(5, 2),
        timeout=timedelta(minutes=1),
        expires=60,
        delay=10,
        user_id="u7",
        tags=["b", "c"],
        meta={"by": "call"},
        result_ttl=5,
        max_crashes=2,
    )

    async with engine:
        envelope = await envelope_of(engine, (await engine.dispatch(call, a=1)).id)

    assert (envelope.queue, envelope.priority, envelope.user_id) == ("fast", 9, "u7")
    assert (envelope.tags, envelope.meta) == (("b", "c"), {"by": "call"})
    assert (envelope.timeout, envelope.result_ttl, envelope.max_crashes) == (60.0, 5.0, 2)
    assert envelope.retry == Retry.fixed(5, 2).spec
    assert envelope.scheduled_at == clock.now() + 10_000
    assert envelope.expires_at == clock.now() + 60_000


async def test_the_types_own_options_stay_with_the_worker_but_where_they_say_where_and_when() -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)
    add = adding(engine, queue="mail", priority=4, delay=5, retry=Retry.none(), timeout=3)

    async with engine:
        envelope = await envelope_of(engine, (await engine.dispatch(add, a=1)).id)

    assert (envelope.queue, envelope.priority) == ("mail", 4)
    assert envelope.scheduled_at == clock.now() + 5_000
    assert (envelope.retry, envelope.timeout) == (None, None)


async def test_the_nearest_level_says_when() -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)
    add = adding(engine, delay=3600)
    at = datetime(2027, 1, 1, tzinfo=UTC)

    async with engine:
        envelope = await envelope_of(engine, (await engine.dispatch(add.options(at=at), a=1)).id)

    assert envelope.scheduled_at == int(at.timestamp() * 1000)


@pytest.mark.parametrize(
    "jobs, kinds, decorated, called, queue",
    [
        ({}, {}, {}, {}, "default"),
        ({}, {"job": {"queue": "kind"}}, {}, {}, "kind"),
        ({}, {"job": {"queue": "kind"}}, {"queue": "decorator"}, {}, "decorator"),
        ({"add": {"queue": "jobs"}}, {"job": {"queue": "kind"}}, {"queue": "decorator"}, {}, "jobs"),
        ({"add": {"queue": "jobs"}}, {}, {"queue": "decorator"}, {"queue": "call"}, "call"),
    ],
    ids=["default", "kind", "decorator", "jobs", "call"],
)
async def test_call_wins_over_jobs_over_decorator_over_kinds_over_defaults(
    jobs: Any, kinds: Any, decorated: Any, called: Any, queue: str
) -> None:
    engine = Engine("memory://", config={"jobs": jobs, "kinds": kinds})
    add = adding(engine, **decorated)

    async with engine:
        handle = await engine.dispatch(add.options(**called), a=1)

        assert (await handle.status()).queue == queue


async def test_options_of_the_configuration_reach_the_job() -> None:
    options = {"tags": ["imported"], "meta": {"by": "config"}, "user_id": "u1", "delay": "1h"}
    engine = Engine("memory://", config={"jobs": {"add": options}})
    add = adding(engine)

    async with engine:
        status = await (await engine.dispatch(add, a=1)).status()

    assert (status.tags, status.meta, status.user_id) == (("imported",), {"by": "config"}, "u1")
    assert status.status is Status.SCHEDULED


@pytest.mark.parametrize(
    "policy",
    [
        Retry.custom(lambda failures, error: 1.0),
        Retry.fixed(3, 1, on=OSError),
        Retry.fixed(3, 1, never_on=OSError),
    ],
    ids=["custom", "on", "never_on"],
)
async def test_only_a_schedule_travels_with_one_job(engine: Engine, policy: Retry) -> None:
    add = adding(engine)

    async with engine:
        with pytest.raises(ConfigError, match="only a schedule travels"):
            await engine.dispatch(add.options(retry=policy), a=1)


async def test_a_job_that_could_never_start_is_refused(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        with pytest.raises(ConfigError, match="expire before it is due"):
            await engine.dispatch(add.options(delay=60, expires=30), a=1)


@pytest.mark.parametrize(
    "meta", [{"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"pair": (1, 2)}, {"n": float("nan")}]
)
async def test_meta_that_would_arrive_changed_is_refused(engine: Engine, meta: Any) -> None:
    add = adding(engine)

    async with engine:
        with pytest.raises(PayloadError, match="meta"):
            await engine.dispatch(add.options(meta=meta), a=1)


async def test_the_limit_of_payloads_is_a_setting() -> None:
    engine = Engine("memory://", config={"limits": {"payload_bytes": 100}})

    @engine.job(name="keep")
    async def keep(text: str) -> None: ...

    async with engine:
        await engine.dispatch(keep, text="x" * 80)

        with pytest.raises(PayloadTooLarge, match=r"limits\.payload_bytes is 100"):
            await engine.dispatch(keep, text="x" * 100)
        with pytest.raises(PayloadTooLarge, match="meta"):
            await engine.dispatch(keep.options(meta={"text": "x" * 100}), text="")


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a b"},
        {"id": ""},
        {"payload": b"nothing"},
        {"options": {"quue": "x"}},
        {"options": {"priority": "x"}},
    ],
    ids=["spaced id", "no id", "no object", "unknown option", "wrong option"],
)
async def test_a_job_made_by_hand_is_checked_too(engine: Engine, fields: dict[str, Any]) -> None:
    adding(engine)
    job: Job[Any] = Job(
        **{"id": "a", "type": "add", "kind": "job", "payload": b'{"a":1}', "options": {}} | fields
    )

    async with engine:
        with pytest.raises((ConfigError, PayloadError)):
            await engine.dispatch(job)

        assert (await engine.jobs.list()).items == []


async def test_a_type_of_a_registry_that_was_not_included_can_be_dispatched(engine: Engine) -> None:
    registry = JobRegistry()

    @registry.job(name="elsewhere", queue="far")
    async def elsewhere() -> None: ...

    async with engine:
        handle = await engine.dispatch(elsewhere)

        assert (await handle.status()).queue == "far"


async def test_jobs_of_an_included_registry_run(engine: Engine) -> None:
    registry = JobRegistry()

    @registry.job(name="double")
    def double(number: int) -> int:
        return number * 2

    engine.include(registry)

    async with engine.running():
        assert await (await engine.dispatch(double, number=4)).result(timeout=10) == 8


def test_a_name_can_be_registered_once(engine: Engine) -> None:
    adding(engine)

    with pytest.raises(ConfigError, match="two job types are named 'add'"):
        adding(engine)


async def test_jobs_start_in_the_order_of_their_dispatch(engine: Engine) -> None:
    started: list[int] = []

    @engine.job(name="note")
    async def note(number: int) -> None:
        started.append(number)

    async with engine:
        for number in range(20):
            await engine.dispatch(note, number=number)
        worker = engine.worker(concurrency=1, burst=True)
        await worker.run()

    assert started == list(range(20))
