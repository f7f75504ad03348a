"""Log records: they say which job they belong to, and each is one line, whatever it holds."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine import Engine, JobContext, JobLogFilter
from aiojobs_engine.telemetry.log_format import JsonFormatter, TextFormatter
from aiojobs_engine.testing import TestEngine
from tests.telemetry.conftest import Spans, span_id, trace_id

app_logger = logging.getLogger("shop.orders")


NASTY = ["a\r\nERROR forged", "\x1b[2Jgone", "a\u2028b\u2029c", "\x00\x85\x9b", "\ud800"]


class Written:
    """A logging handler that keeps lines and records."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(formatter)
        self.handler.addFilter(JobLogFilter())

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().split("\n") if line]


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[Written]:
    written = Written(getattr(request, "param", JsonFormatter)())
    app_logger.addHandler(written.handler)
    app_logger.setLevel(logging.INFO)
    yield written
    app_logger.removeHandler(written.handler)
    app_logger.setLevel(logging.NOTSET)


async def test_records_of_handlers_carry_job_and_trace(spans: Spans, written: Written) -> None:
    engine = Engine("sqlite:///never-opened.db")

    @engine.job(name="on_loop", queue="mail")
    async def on_loop() -> None:
        app_logger.info("here")

    @engine.job(name="in_thread")
    def in_thread() -> None:
        app_logger.info("there, in thread %s", threading.current_thread() is not threading.main_thread())

    app_logger.info("outside")
    async with TestEngine(engine) as t:
        first = await t.engine.dispatch(on_loop)
        await t.drain()
        second = await t.engine.dispatch(in_thread)
        await t.drain()

    outside, here, there = written.objects
    assert outside.keys() == {"time", "level", "logger", "message"}
    span = spans.named("process")[0]
    assert here | {"time": ""} == {
        "time": "",
        "level": "INFO",
        "logger": "shop.orders",
        "message": "here",
        "job_id": first.id,
        "job_type": "on_loop",
        "queue": "mail",
        "attempt": 1,
        "trace_id": f"{trace_id(span):032x}",
        "span_id": f"{span_id(span):016x}",
    }
    assert (there["job_id"], there["job_type"], there["message"]) == (
        second.id,
        "in_thread",
        "there, in thread True",
    )
    assert there["trace_id"] == f"{trace_id(spans.named('process')[1]):032x}"


@pytest.mark.parametrize("written", [TextFormatter], indirect=True)
async def test_a_line_of_text_names_job_and_trace_behind_the_message(spans: Spans, written: Written) -> None:
    engine = Engine("sqlite:///never-opened.db")

    @engine.job(name="work")
    async def work(ctx: JobContext) -> None:
        app_logger.warning("low on paper")
        app_logger.warning("job %s is named already", ctx.id)

    async with TestEngine(engine) as t:
        handle = await t.engine.dispatch(work)
        await t.drain()

    trace = f"trace {trace_id(spans.one('process')):032x}"
    first, second = written.lines
    assert first.endswith(f"WARNING shop.orders: low on paper [job {handle.id}, {trace}]")
    assert second.endswith(f"WARNING shop.orders: job {handle.id} is named already [{trace}]")


async def test_fields_that_a_record_has_stay(written: Written) -> None:
    engine = Engine("sqlite:///never-opened.db")

    @engine.job(name="work")
    async def work(ctx: JobContext) -> None:
        app_logger.info("about another", extra={"job_id": "other"})
        ctx.logger.info("by the context's own logger")

    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    assert written.objects[0]["job_id"] == "other"


def record(message: str, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "n", "levelname": "ERROR", "msg": message, "created": 0.0})
    vars(made).update(fields)
    return made


@pytest.mark.case("X20")
@given(st.text())
def test_a_record_is_one_line_of_text(message: str) -> None:
    line = TextFormatter().format(record(message))

    assert len(line.splitlines()) == 1
    assert not {character for character in line if ord(character) < 32 or 127 <= ord(character) < 160}


@pytest.mark.case("X20")
@given(st.text(), st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists, max_leaves=5))
def test_a_record_is_one_line_of_json_that_parses(message: str, extra: object) -> None:
    line = JsonFormatter().format(record(message, extra=extra))

    assert len(line.splitlines()) == 1
    assert json.loads(line)["logger"] == "n"


@pytest.mark.case("X20")
@pytest.mark.parametrize("nasty", NASTY)
def test_nasty_letters_are_escaped_and_can_be_read_again(nasty: str) -> None:
    text = TextFormatter().format(record(nasty))
    told = json.loads(JsonFormatter().format(record(nasty)))

    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert told["message"] in {nasty, "\\ud800"}


def test_exceptions_and_values_that_json_has_not_are_told() -> None:
    error = ValueError("no\nluck")
    made = record("failed", exc_info=(ValueError, error, None), thing=object(), when={1, 2})
    told = json.loads(JsonFormatter().format(made))

    assert told["exception"] == "ValueError: no\nluck"
    assert told["thing"].startswith("<object object")
    assert TextFormatter().format(made).endswith("n: failed\nValueError: no\nluck")
