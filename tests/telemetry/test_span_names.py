"""The golden list: every span that the engine makes, with its kind and all of its attributes."""

from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from aiojobs_engine import Engine, JobContext, Retry
from aiojobs_engine.telemetry.tracing import OtelTracing
from aiojobs_engine.testing import TestEngine
from tests.telemetry.conftest import Spans, attributes, linked, span_id

ANY = "<any>"


def shown(spans: Spans) -> list[tuple[str, str, dict[str, Any], str]]:
    """Name, kind, attributes and status; ids of jobs and workers are any."""
    told: list[tuple[str, str, dict[str, Any], str]] = []
    for span in spans.all:
        given = attributes(span)
        for name in ("messaging.message.id", "messaging.client.id", "aiojobs_engine.job.scheduled_at"):
            if name in given:
                given[name] = ANY
        told.append((span.name, span.kind.name, given, span.status.status_code.name))
    return told


def expected(operation: str, kind: str, type: str, **more: Any) -> tuple[str, str, dict[str, Any], str]:
    status = more.pop("status", "UNSET")
    queue = more.pop("queue", "mail")
    return (
        f"{operation} {queue}",
        kind,
        {
            "messaging.system": "aiojobs_engine",
            "messaging.operation.name": operation,
            "messaging.operation.type": type,
            "messaging.destination.name": queue,
            **{name.replace("__", "."): value for name, value in more.items()},
        },
        status,
    )


MESSAGE = {"messaging__message__id": ANY, "aiojobs_engine__task__name": "greet"}
RUN = {
    **MESSAGE,
    "messaging__client__id": ANY,
    "aiojobs_engine__job__attempt": 1,
    "aiojobs_engine__job__max_attempts": 2,
}


def app() -> tuple[Engine, Any]:
    engine = Engine("sqlite:///never-opened.db")

    @engine.job(name="greet", queue="mail", retry=Retry.fixed(2, 60))
    async def greet(name: str) -> str:
        if name == "nobody":
            raise ValueError("there is nobody")
        return f"hello {name}"

    return engine, greet


async def test_a_dispatch_and_its_run(spans: Spans) -> None:
    engine, greet = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch(greet, "you")
        await t.drain()

    assert shown(spans) == [
        expected("dispatch", "PRODUCER", "send", **MESSAGE),
        expected("process", "CONSUMER", "process", **RUN, aiojobs_engine__job__outcome="succeeded"),
        expected("ack", "CLIENT", "settle", messaging__batch__message_count=1),
    ]


async def test_attempts_that_fail(spans: Spans) -> None:
    engine, greet = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch(greet.options(delay=5), "nobody")
        await t.advance(5)
        await t.advance(60)

    failure = {**RUN, "error__type": "ValueError", "status": "ERROR"}
    due = {"aiojobs_engine__job__scheduled_at": ANY}
    second = {**failure, **due, "aiojobs_engine__job__attempt": 2}
    assert shown(spans) == [
        expected("schedule", "PRODUCER", "send", **MESSAGE, **due),
        expected("process", "CONSUMER", "process", **failure, **due, aiojobs_engine__job__outcome="retry"),
        expected("retry", "CLIENT", "settle", messaging__batch__message_count=1),
        expected("process", "CONSUMER", "process", **second, aiojobs_engine__job__outcome="failed"),
        expected("dead_letter", "CLIENT", "settle", messaging__batch__message_count=1),
    ]
    failed = spans.named("process")[0]
    assert failed.status.description == "there is nobody"
    (event,) = failed.events
    told = dict(event.attributes or {})
    assert event.name == "exception"
    assert set(told) == {"exception.type", "exception.message", "exception.stacktrace"}
    assert (told["exception.type"], told["exception.message"]) == ("ValueError", "there is nobody")
    assert "there is nobody" in str(told["exception.stacktrace"])


async def test_a_few_jobs_at_once_have_a_span_each_and_one_for_the_write(spans: Spans) -> None:
    engine, greet = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch_many(greet.job(str(number)) for number in range(2))

    assert shown(spans) == [
        expected("create", "PRODUCER", "create", **MESSAGE),
        expected("create", "PRODUCER", "create", **MESSAGE),
        expected("dispatch", "CLIENT", "send", messaging__batch__message_count=2),
    ]


async def test_many_jobs_at_once_share_one_span(spans: Spans) -> None:
    engine, greet = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch_many(greet.job(str(number)) for number in range(2_500))

    assert shown(spans) == [expected("dispatch", "PRODUCER", "send", messaging__batch__message_count=2_500)]


async def test_jobs_of_several_queues_at_once_name_none(spans: Spans) -> None:
    engine, greet = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch_many([greet.job("a"), greet.options(queue="other").job("b")])

    name, _, given, _ = shown(spans)[-1]
    assert name == "dispatch"
    assert "messaging.destination.name" not in given


async def test_a_fire_of_cron(spans: Spans) -> None:
    engine, _ = app()

    @engine.cron("* * * * *", name="minutely", queue="mail")
    async def tick() -> None: ...

    async with TestEngine(engine) as t:
        await t.advance(60)

    fired = {**MESSAGE, "aiojobs_engine__task__name": tick.name, "aiojobs_engine__cron__key": "minutely"}
    assert shown(spans)[0] == expected("schedule", "PRODUCER", "send", **fired)
    assert spans.all[0].parent is None
    assert linked(spans.one("process")) == [span_id(spans.all[0])]


async def test_a_job_of_a_job_belongs_to_its_span(spans: Spans) -> None:
    engine, greet = app()

    @engine.job(name="parent", queue="mail")
    async def parent(ctx: JobContext) -> None:
        await ctx.engine.dispatch(greet, "child")

    async with TestEngine(engine) as t:
        await t.engine.dispatch(parent)
        await t.drain()

    of_parent, of_child = spans.named("dispatch")
    outer = next(span for span in spans.named("process") if linked(span) == [span_id(of_parent)])
    assert of_child.parent is not None
    assert of_child.parent.span_id == span_id(outer)


@pytest.mark.parametrize(
    "url, server",
    [
        ("sqlite:///jobs.db", {}),
        ("memory://", {}),
        ("redis://:secret@cache:6380/0", {"server.address": "cache", "server.port": 6380}),
        ("rediss://cache", {"server.address": "cache"}),
    ],
)
def test_only_a_store_that_is_a_server_is_named(spans: Spans, url: str, server: dict[str, object]) -> None:
    tracing = OtelTracing(url=url, parenting="link", settlements=True)
    tracing.start_batch("dispatch", "send", "mail", SpanKind.CLIENT, []).end()

    given = attributes(spans.one("dispatch"))
    assert {name: value for name, value in given.items() if name.startswith("server.")} == server
    assert "secret" not in str(given)


async def test_the_scope_and_the_schema_are_told(spans: Spans) -> None:
    engine, greet = app()
    async with TestEngine(engine) as t:
        await t.engine.dispatch(greet, "you")

    scope = spans.all[0].instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.schema_url) == ("aiojobs_engine", "https://opentelemetry.io/schemas/1.44.0")
    assert spans.all[0].status.status_code is StatusCode.UNSET
