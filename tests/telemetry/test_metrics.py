"""What the figures say: everything that the seeds counted, and where it goes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from aiojobs_engine import Call, Discard, Engine, JobCompleted, JobContext, Retry
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core import metrics
from aiojobs_engine.core.errors import BackendUnavailable, ConfigError
from aiojobs_engine.core.metrics import CATALOGUE, Metric
from aiojobs_engine.telemetry.collectors import InMemoryCollector
from aiojobs_engine.telemetry.meter import MOST_VALUES, OTHER
from aiojobs_engine.testing import ManualClock, TestEngine


def app(collector: Any) -> tuple[Engine, Any]:
    engine = Engine("sqlite:///never-opened.db", metrics=collector)

    @engine.job(name="work", queue="mail", timeout=5, retry=Retry.fixed(2, 1))
    async def work(end: str = "well") -> None:
        match end:
            case "fails":
                raise ValueError(end)
            case "hangs":
                await asyncio.Event().wait()
            case "gives up":
                raise Discard(end)
            case _:
                pass

    return engine, work


async def test_the_counters_of_the_seeds() -> None:
    figures = InMemoryCollector()
    engine, work = app(figures)
    async with TestEngine(engine) as t:
        for end in ("well", "well", "fails", "hangs", "gives up"):
            await t.engine.dispatch(work, end)
        await t.advance(60)

    task = {"aiojobs_engine_task_name": "work", "messaging_destination_name": "mail"}
    outcome = "aiojobs_engine_job_outcome"
    assert figures.value(metrics.SENT, messaging_destination_name="mail") == 5
    assert figures.value(metrics.FETCHED) == 5 + 2
    assert figures.value(metrics.COMPLETED, **task, **{outcome: "succeeded"}) == 2
    assert figures.value(metrics.COMPLETED, **task, **{outcome: "discarded"}) == 1
    assert figures.value(metrics.COMPLETED, **{outcome: "failed"}) == 1
    assert figures.value(metrics.COMPLETED, **{outcome: "timeout"}) == 1
    assert figures.value(metrics.FAILURES, **task) == 4
    assert figures.value(metrics.FAILURES, error_type="ValueError") == 2
    assert figures.value(metrics.RETRIES, **task) == 2
    assert figures.value(metrics.TIMEOUTS, **task) == 2
    assert figures.value(metrics.DEAD, reason="max_attempts") == 2


async def test_times_are_counted_from_the_due_moment_to_the_start_and_from_there_to_the_end() -> None:
    figures = InMemoryCollector()
    engine, _ = app(figures)

    @engine.job(name="slow")
    async def slow(ctx: JobContext) -> None:
        await ctx.engine.clock.sleep(7)

    async with TestEngine(engine) as t:
        await t.engine.dispatch(slow)
        await t.clock.advance(20)
        await t.advance(30)

    (wait,) = figures.histograms(metrics.WAIT_SECONDS).values()
    (run,) = figures.histograms(metrics.RUN_SECONDS).values()
    assert (wait.count, run.count) == (1, 1)
    assert 20 <= wait.total < 21
    assert 7 <= run.total < 8


async def test_only_the_first_run_of_a_job_tells_how_long_it_waited() -> None:
    figures = InMemoryCollector()
    engine, work = app(figures)
    async with TestEngine(engine) as t:
        await t.engine.dispatch(work, "fails")
        await t.advance(60)

    assert figures.value(metrics.RUN_SECONDS, error_type="ValueError") == 2
    assert figures.value(metrics.WAIT_SECONDS) == 1


async def test_calls_of_the_store_and_batches_are_measured_and_not_each_job() -> None:
    figures = InMemoryCollector()
    engine, work = app(figures)
    async with TestEngine(engine) as t:
        await t.engine.dispatch_many(work.job() for _ in range(1_000))
        await t.drain()

    batches = figures.histograms(metrics.BATCH)[()]
    assert figures.value(metrics.OPERATION_SECONDS, messaging_operation_name="dispatch") == 1
    assert figures.value(metrics.OPERATION_SECONDS, messaging_operation_name="receive") < 200
    assert figures.value(metrics.OPERATION_SECONDS, messaging_operation_name="settle") == batches.count
    assert batches.total == 1_000
    assert batches.count < 200


async def test_a_look_around_tells_depth_age_and_slots() -> None:
    figures = InMemoryCollector()
    clock = ManualClock()
    engine = Engine("memory://", clock=clock, metrics=figures, config={"worker": {"concurrency": 2}})

    @engine.job(name="hold", queue="mail")
    async def hold(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    async with engine:
        await engine.dispatch_many(hold.job() for _ in range(5))
        worker = engine.worker()
        running = asyncio.get_running_loop().create_task(worker.run())
        await clock.advance(31)
        depth = {
            state: figures.value(metrics.QUEUE_DEPTH, messaging_destination_name="mail", state=state)
            for state in ("pending", "processing", "scheduled")
        }
        age, used, limit = (
            figures.value(each) for each in (metrics.OLDEST_AGE, metrics.SLOTS_USED, metrics.SLOTS_LIMIT)
        )
        await engine.queues.purge("mail")
        await clock.advance(11)
        after = figures.value(metrics.QUEUE_DEPTH, state="pending")
        worker.stop_now()
        await clock.advance(60)
        await running

    assert depth == {"pending": 3, "processing": 2, "scheduled": 0}
    assert 30 <= age <= 31
    assert (used, limit, after) == (2, 2, 0)


async def test_lost_leases_and_dropped_events_are_counted() -> None:
    figures = InMemoryCollector()
    clock = ManualClock()
    store = MemoryBackend(clock=clock)
    engine = Engine(backend=store, clock=clock, metrics=figures)

    @engine.job(name="work")
    async def work() -> None: ...

    released = asyncio.Event()

    @engine.on()
    async def slow(event: object) -> None:
        await released.wait()

    async with engine:
        settle = store.settle

        async def refuse(settlements: Any) -> list[bool]:
            await settle(settlements)
            return [False for _ in settlements]

        store.settle = refuse  # type: ignore[method-assign]
        await engine.dispatch_many(work.job() for _ in range(1_500))
        worker = engine.worker()
        running = asyncio.get_running_loop().create_task(worker.run())
        await clock.advance(11)
        released.set()
        worker.stop_now()
        await clock.advance(60)
        await running

    assert figures.value(metrics.LEASES_LOST) == 1_500
    assert figures.value(metrics.COMPLETED) == 0
    assert figures.value(metrics.DROPPED) > 1_000


async def test_failures_and_queues_of_listeners_are_counted_by_listener_and_error() -> None:
    figures = InMemoryCollector()
    clock = ManualClock()
    engine = Engine("memory://", clock=clock, metrics=figures, config={"listeners": {"notify": True}})
    never = asyncio.Event()

    @engine.job(name="work")
    async def work() -> None: ...

    @engine.on(JobCompleted)
    async def broken(event: object) -> None:
        raise TimeoutError

    @engine.on(JobCompleted)
    async def hanging(event: object) -> None:
        await never.wait()

    @engine.on(JobCompleted, durable="books")
    async def books(event: object) -> None:
        raise ValueError

    @engine.recipients
    async def nobody(event: object) -> list[object]:
        def call(event: object) -> None:
            raise ConnectionError

        return [Call(call)]

    async with engine:
        await engine.dispatch_many(work.job() for _ in range(5))
        worker = engine.worker()
        running = asyncio.get_running_loop().create_task(worker.run())
        await clock.advance(60)
        waiting = {
            listener.rpartition(".")[2]: value
            for (listener,), value in figures.numbers(metrics.LISTENER_WAITING).items()
        }
        never.set()
        worker.stop_now()
        await clock.advance(60)
        await running

    failed = {
        (listener.rpartition(".")[2], error): value
        for (listener, error), value in figures.numbers(metrics.LISTENER_FAILED).items()
    }
    assert failed["broken", "TimeoutError"] == 5
    assert failed["books", "ValueError"] >= 3
    assert failed["notify", "ConnectionError"] >= 5
    assert (waiting["hanging"], waiting["broken"]) == (4, 0)


async def test_the_lag_of_cron_is_from_the_instant_to_the_fire() -> None:
    figures = InMemoryCollector()
    clock = ManualClock()
    engine = Engine("memory://", clock=clock, metrics=figures)

    @engine.cron("* * * * *", name="minutely")
    async def minutely() -> None: ...

    async with engine:
        worker = engine.worker()
        running = asyncio.get_running_loop().create_task(worker.run())
        await clock.advance(121)
        worker.stop_now()
        await clock.advance(60)
        await running

    ((labels, lag),) = figures.histograms(metrics.CRON_LAG).items()
    assert labels == ("minutely",)
    assert lag.count == 2
    assert 0 <= lag.total < 2


async def test_a_write_of_dispatches_that_fails_is_counted_with_its_error() -> None:
    figures = InMemoryCollector()

    class Away(MemoryBackend):
        async def enqueue(self, envelopes: Any) -> Any:
            raise BackendUnavailable("away")

    clock = ManualClock()
    engine = Engine(backend=Away(clock=clock), clock=clock, metrics=figures)

    @engine.job(name="work")
    async def work() -> None: ...

    async with engine:
        with pytest.raises(BackendUnavailable):
            await engine.dispatch(work)

    assert figures.value(metrics.SENT, error_type="BackendUnavailable") == 1


async def test_labels_are_bounded() -> None:
    figures = InMemoryCollector()
    engine, _ = app(figures)

    @engine.job(name="any")
    async def any_job() -> None: ...

    async with TestEngine(engine) as t:
        await t.engine.dispatch_many(
            any_job.options(queue=f"q{number}").job() for number in range(MOST_VALUES + 50)
        )

    series = figures.numbers(metrics.SENT)
    assert len(series) == MOST_VALUES + 1
    assert figures.value(metrics.SENT, messaging_destination_name=OTHER) == 50


class Broken:
    """A collector that can't take anything."""

    calls = 0

    def add(self, counter: Metric, labels: tuple[str, ...], amount: float) -> None:
        self.calls += 1
        raise OSError("no figures today")

    def observe(self, histogram: Metric, labels: tuple[str, ...], values: Sequence[float]) -> None:
        self.add(histogram, labels, 0)

    def set(self, gauge: Metric, labels: tuple[str, ...], value: float) -> None:
        self.add(gauge, labels, value)


async def test_a_collector_that_raises_delays_no_job_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Broken()
    engine, work = app(broken)
    async with TestEngine(engine) as t:
        for _ in range(3):
            await t.engine.dispatch(work)
            counts = await t.drain()

    assert counts == {"completed": 3}
    assert broken.calls > 3
    assert len([record for record in caplog.records if "collector" in record.getMessage()]) >= 1
    assert len([record for record in caplog.records if "collector" in record.getMessage()]) <= 3


async def test_rows_of_imports_are_counted_by_result(tmp_path: Any) -> None:
    import msgspec

    class Row(msgspec.Struct):
        name: str
        age: int

    figures = InMemoryCollector()
    config = {"storage": {"path": str(tmp_path)}}
    engine = Engine("sqlite:///never-opened.db", metrics=figures, config=config)

    @engine.importer("people", row=Row, chunk_size=2)
    async def people(ctx: JobContext, rows: list[Row]) -> None: ...

    source = [{"name": "a", "age": 1}, {"name": "b", "age": "none"}, {"name": "c", "age": 3}]
    async with TestEngine(engine) as t:
        await t.engine.dispatch(people, source)
        await t.drain()

    task = {"aiojobs_engine_task_name": "people"}
    assert figures.value(metrics.ROWS, **task, result="succeeded") == 2
    assert figures.value(metrics.ROWS, **task, result="failed") == 1


async def test_nobody_measures_by_default() -> None:
    engine = Engine("memory://", clock=ManualClock())
    async with engine:
        assert engine._life.door().meter is None
        assert engine._life.door().observing.observers == ()


def test_names_and_labels_are_told_once() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    declared = {value.name for value in vars(metrics).values() if isinstance(value, Metric)}
    assert declared == {metric.name for metric in CATALOGUE}


def test_a_label_that_a_metric_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no label 'queue'"):
        InMemoryCollector().value(metrics.RETRIES, queue="mail")
