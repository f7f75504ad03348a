"""Plain functions in processes of their own have the context of their run, too."""

from pathlib import Path

from opentelemetry import baggage
from opentelemetry import context as contexts

from aiojobs_engine import Engine
from tests.telemetry.conftest import Spans, span_id
from tests.telemetry.jobs import carried, registry


async def test_a_process_has_the_span_and_the_baggage_of_its_run(spans: Spans, tmp_path: Path) -> None:
    engine = Engine(f"sqlite:///{tmp_path / 'jobs.db'}", registry=registry)
    async with engine.running():
        token = contexts.attach(baggage.set_baggage("tenant", "t7"))
        handle = await engine.dispatch(carried)
        contexts.detach(token)
        found = await handle.result(timeout=30)

    assert found == (f"{span_id(spans.one('process')):x}", "t7")
