"""How spans hang together, and that none is left behind."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as contexts

from aiojobs_engine import Discard, Engine, JobContext, Retry, Snooze
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.errors import BackendUnavailable, LeaseLostError
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing import ManualClock, TestEngine
from tests.telemetry.conftest import SetProvider, Spans, attributes, linked, span_id, trace_id


class Odd(BaseException):
    """No Exception."""


BAD_ENDS: dict[str, BaseException] = {
    "raises": ValueError("no"),
    "snoozes": Snooze(3600),
    "discards": Discard("enough"),
    "cancels": asyncio.CancelledError(),
    "groups": ExceptionGroup("many", [ValueError("no")]),
    "exits": SystemExit(3),
    "is odd": Odd(),
}


def app(**telemetry: Any) -> tuple[Engine, Any]:
    engine = Engine("sqlite:///never-opened.db", config={"telemetry": telemetry})

    @engine.job(name="work", timeout=5, retry=Retry.none())
    async def work(end: str = "well") -> str:
        if end == "times out":
            await asyncio.Event().wait()
        if end in BAD_ENDS:
            raise BAD_ENDS[end]
        return end

    return engine, work


def current() -> trace.SpanContext:
    return trace.get_current_span().get_span_context()


async def test_a_run_is_the_root_of_a_trace_that_links_to_its_dispatch(spans: Spans) -> None:
    engine, work = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    dispatch, process, ack = spans.one("dispatch"), spans.one("process"), spans.one("ack")
    assert process.parent is None
    assert linked(process) == [span_id(dispatch)]
    assert trace_id(process) != trace_id(dispatch)
    assert ack.parent is not None
    assert ack.parent.span_id == span_id(process)


async def test_by_choice_a_run_goes_on_in_the_trace_of_its_dispatch(spans: Spans) -> None:
    engine, work = app(trace_parenting="parent")
    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    dispatch, process = spans.one("dispatch"), spans.one("process")
    assert process.parent is not None
    assert process.parent.span_id == span_id(dispatch)
    assert linked(process) == [span_id(dispatch)]
    assert len({trace_id(span) for span in spans.all}) == 1


async def test_settlements_are_traced_by_choice(spans: Spans) -> None:
    engine, work = app(trace_settlements=False)
    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    assert spans.names == ["dispatch default", "process default"]


async def test_tracing_can_be_switched_off(spans: Spans) -> None:
    engine, work = app(tracing=False)
    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    assert spans.all == []


async def test_every_attempt_links_to_the_dispatch_and_to_the_failed_attempt_before_it(spans: Spans) -> None:
    engine, _ = app()

    @engine.job(name="flaky", retry=Retry.fixed(3, 1))
    async def flaky() -> None:
        raise ValueError

    async with TestEngine(engine) as t:
        await t.engine.dispatch(flaky)
        await t.advance(10)

    dispatched = span_id(spans.one("dispatch"))
    first, second, third = spans.named("process")
    assert linked(first) == [dispatched]
    assert linked(second) == [dispatched, span_id(first)]
    assert linked(third) == [dispatched, span_id(second)]
    assert {link.context.trace_id for link in third.links} == {
        trace_id(spans.one("dispatch")),
        trace_id(second),
    }
    assert [attributes(span)["aiojobs_engine.job.outcome"] for span in spans.named("process")] == [
        "retry",
        "retry",
        "failed",
    ]


async def test_an_attempt_behind_a_success_or_a_snooze_links_to_the_dispatch_alone(spans: Spans) -> None:
    engine, _ = app()
    ends: list[BaseException | None] = [ValueError("once"), Snooze(5), None]

    @engine.job(name="odd", retry=Retry.fixed(3, 1))
    async def odd() -> None:
        if (end := ends.pop(0)) is not None:
            raise end

    async with TestEngine(engine) as t:
        handle = await t.engine.dispatch(odd)
        await t.advance(20)
        assert (await handle.status()).error is None

    assert [len(span.links) for span in spans.named("process")] == [1, 2, 1]


async def test_a_claim_has_a_span_per_queue_by_choice(spans: Spans) -> None:
    engine, work = app(trace_claims=True)

    @engine.job(name="aside", queue="other")
    async def aside() -> None: ...

    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.engine.dispatch_many([aside.job() for _ in range(2)])
        await t.drain()

    of_default, of_other = spans.one("receive default"), spans.one("receive other")
    assert (of_default.kind.name, of_default.parent) == ("CLIENT", None)
    assert linked(of_default) == [span_id(spans.one("dispatch default"))]
    assert linked(of_other) == [span_id(span) for span in spans.named("create")]
    assert attributes(of_other) == {
        "messaging.system": "aiojobs_engine",
        "messaging.operation.name": "receive",
        "messaging.operation.type": "receive",
        "messaging.destination.name": "other",
        "messaging.batch.message_count": 2,
    }
    assert of_other.start_time is not None
    assert of_other.end_time is not None
    assert of_other.start_time <= of_other.end_time


async def test_jobs_of_a_batch_link_to_the_spans_that_created_them(spans: Spans) -> None:
    engine, work = app()
    async with TestEngine(engine) as t:
        few = await t.engine.dispatch_many([work.job(), work.job()])
        await t.drain()

    created = {attributes(span)["messaging.message.id"]: span_id(span) for span in spans.named("create")}
    ran = {attributes(span)["messaging.message.id"]: linked(span) for span in spans.named("process")}
    assert ran == {handle.id: [created[handle.id]] for handle in few}
    assert sorted(linked(spans.one("dispatch"))) == sorted(created.values())
    ack = spans.one("ack")
    assert attributes(ack)["messaging.batch.message_count"] == 2
    assert len(linked(ack)) == 1  # the other one is its parent


async def test_jobs_of_a_large_batch_link_to_the_one_span_of_it(spans: Spans) -> None:
    engine, work = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch_many(work.job() for _ in range(101))
        await t.drain()

    dispatched = span_id(spans.one("dispatch"))
    assert {tuple(linked(span)) for span in spans.named("process")} == {(dispatched,)}
    assert len(spans.named("process")) == 101


async def test_jobs_of_a_flow_link_to_the_spans_that_created_them(spans: Spans) -> None:
    engine, work = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch(work.job().then(work.job()))
        await t.drain()

    created = {span_id(span) for span in spans.named("create")}
    assert len(created) == 2
    assert {linked(span)[0] for span in spans.named("process")} == created


async def test_baggage_reaches_the_handler_either_way(spans: Spans) -> None:
    seen: list[object] = []
    for parenting in ("link", "parent"):
        engine, _ = app(trace_parenting=parenting)

        @engine.job(name="look")
        async def look() -> None:
            seen.append(baggage.get_baggage("tenant"))

        async with TestEngine(engine) as t:
            token = contexts.attach(baggage.set_baggage("tenant", "t7"))
            await t.engine.dispatch(look)
            contexts.detach(token)
            await t.drain()

    assert seen == ["t7", "t7"]
    assert spans.all


async def test_baggage_that_is_too_large_stays_behind_alone(spans: Spans) -> None:
    engine, work = app()
    async with TestEngine(engine) as t:
        context = baggage.set_baggage("b", "x" * 4_090, baggage.set_baggage("a", "x" * 4_090))
        token = contexts.attach(context)
        handle = await t.engine.dispatch(work)
        contexts.detach(token)
        (envelope,) = await t.engine.store.envelopes([handle.id])
        await t.drain()

    assert envelope is not None
    assert set(envelope.headers) == {"traceparent"}
    assert linked(spans.one("process")) == [span_id(spans.one("dispatch"))]


async def test_threads_of_handlers_have_the_span(spans: Spans) -> None:
    engine, _ = app()
    seen: list[tuple[trace.SpanContext, int]] = []

    @engine.job(name="plain")
    def plain() -> None:
        seen.append((current(), threading.get_ident()))

    async with TestEngine(engine) as t:
        await t.engine.dispatch(plain)
        await t.drain()

    ((context, thread),) = seen
    assert context.span_id == span_id(spans.one("process"))
    assert thread != threading.get_ident()


@pytest.mark.parametrize("end", [*BAD_ENDS, "times out"])
async def test_no_span_is_left_behind_whatever_a_run_comes_to(spans: Spans, end: str) -> None:
    engine, work = app()
    inside: list[trace.SpanContext] = []

    @engine.job(name="next")
    async def following() -> None:
        inside.append(current())

    async with TestEngine(engine) as t:
        await t.engine.dispatch(work, end)
        await t.engine.dispatch(following)
        await t.advance(20)
        assert not current().is_valid

    ran, after = spans.named("process")
    if attributes(ran)["aiojobs_engine.task.name"] != "work":
        ran, after = after, ran
    assert inside[0].span_id == span_id(after)
    assert after.parent is None
    is_error = attributes(ran)["aiojobs_engine.job.outcome"] in {"failed", "timeout"}
    assert is_error is (end not in {"snoozes", "discards"})
    assert (ran.status.status_code.name == "ERROR") is is_error


async def test_a_run_that_takes_a_slot_over_inherits_nothing(spans: Spans) -> None:
    engine = Engine("sqlite:///never-opened.db", config={"worker": {"concurrency": 1}})
    seen: list[trace.SpanContext] = []

    @engine.job(name="each")
    async def each() -> None:
        contexts.attach(trace.set_span_in_context(trace.NonRecordingSpan(current())))  # never detached
        seen.append(current())

    async with TestEngine(engine) as t:
        for _ in range(3):
            await t.engine.dispatch(each)
        await t.drain()

    processed = spans.named("process")
    assert [context.span_id for context in seen] == [span_id(span) for span in processed]
    assert [span.parent for span in processed] == [None, None, None]


@contextlib.asynccontextmanager
async def at_work(engine: Engine, clock: ManualClock) -> AsyncIterator[Engine]:
    """The engine with a worker on a clock that stands still."""
    async with engine:
        worker = engine.worker()
        running = start(worker.run(), "worker")
        await clock.rest()
        yield engine
        worker.stop_now()
        await clock.advance(60)
        await running


async def test_a_cancelled_job_is_no_error(spans: Spans) -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)

    @engine.job(name="wait")
    async def wait() -> None:
        await asyncio.Event().wait()

    async with at_work(engine, clock):
        handle = await engine.dispatch(wait)
        await clock.advance(1)
        await handle.cancel()
        await clock.advance(10)

    process = spans.one("process")
    assert attributes(process)["aiojobs_engine.job.outcome"] == "cancelled"
    assert process.status.status_code.name == "UNSET"


async def test_a_handler_that_ignores_its_cancel_has_its_span_ended_when_it_is_given_up(spans: Spans) -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)
    released = asyncio.Event()

    @engine.job(name="stubborn", timeout=5, retry=Retry.none())
    async def stubborn() -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    async with at_work(engine, clock):
        await engine.dispatch(stubborn)
        await clock.advance(20)
        process = spans.one("process")
        released.set()

    assert attributes(process)["aiojobs_engine.job.outcome"] == "timeout"
    assert attributes(process)["error.type"] == "timeout"
    assert len(spans.named("process")) == 1


class _Refusing(MemoryBackend):
    async def enqueue(self, envelopes: Any) -> Any:
        raise BackendUnavailable("away")

    async def settle(self, settlements: Any) -> Any:
        if not self.has_refused:
            self.has_refused = True
            raise BackendUnavailable("away")
        return await super().settle(settlements)

    has_refused = False


async def test_a_dispatch_that_the_store_refuses_ends_its_span_as_an_error(spans: Spans) -> None:
    clock = ManualClock()
    engine = Engine(backend=_Refusing(clock=clock), clock=clock)

    @engine.job(name="work")
    async def work() -> None: ...

    async with engine:
        with pytest.raises(BackendUnavailable):
            await engine.dispatch(work)
        with pytest.raises(BackendUnavailable):
            await engine.dispatch_many([work.job()])
        assert not current().is_valid

    one, _, many = spans.all
    for span in (one, many):
        assert span.status.status_code.name == "ERROR"
        assert attributes(span)["error.type"] == "aiojobs_engine.core.errors.BackendUnavailable"


async def test_a_write_of_outcomes_that_fails_is_an_error_and_is_told_again(spans: Spans) -> None:
    clock = ManualClock()
    store = _Refusing(clock=clock)
    engine = Engine(backend=store, clock=clock)

    @engine.job(name="work")
    async def work() -> None: ...

    async with engine:
        job = work.job()
        template = engine._life.door().templates.envelope(job)
        assert template is not None
        await MemoryBackend.enqueue(store, [template])
        worker = engine.worker(burst=True)
        running = asyncio.get_running_loop().create_task(worker.run())
        while not running.done():
            await clock.advance(1)

    statuses = [span.status.status_code.name for span in spans.named("ack")]
    assert statuses == ["ERROR", "UNSET"]
    assert len(spans.named("process")) == 1


async def test_a_provider_that_is_set_late_counts_from_then_on(set_provider: SetProvider) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    engine, work = app()
    exporter = InMemorySpanExporter()
    async with TestEngine(engine) as t:
        set_provider(None)
        await t.engine.dispatch(work)
        await t.drain()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        set_provider(provider)
        await t.engine.dispatch(work)
        await t.drain()

    assert [span.name for span in exporter.get_finished_spans()] == [
        "dispatch default",
        "process default",
        "ack default",
    ]
    provider.shutdown()


async def test_a_lost_lease_ends_the_span_without_an_error(spans: Spans) -> None:
    clock = ManualClock()
    engine = Engine("memory://", clock=clock)

    @engine.job(name="lost")
    async def lost(ctx: JobContext) -> None:
        raise LeaseLostError("another worker has it")

    async with at_work(engine, clock):
        await engine.dispatch(lost)
        await clock.advance(1)
        process = spans.one("process")

    assert attributes(process)["aiojobs_engine.job.outcome"] == "lost"
    assert process.status.status_code.name == "UNSET"
