"""The same figures by OpenTelemetry: names, units, buckets and attributes."""

from typing import Any

import pytest
from opentelemetry.metrics import _internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from aiojobs_engine import Engine
from aiojobs_engine.core import metrics
from aiojobs_engine.core.metrics import CATALOGUE
from aiojobs_engine.telemetry.otel_metrics import OtelCollector
from aiojobs_engine.testing import TestEngine


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(_internal, "_METER_PROVIDER", provider)
    yield reader
    provider.shutdown()


def collected(reader: InMemoryMetricReader) -> dict[str, Any]:
    found = reader.get_metrics_data()
    assert found is not None
    return {
        metric.name: metric
        for resource in found.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


async def test_figures_go_where_the_program_has_set_a_provider(reader: InMemoryMetricReader) -> None:
    engine = Engine("sqlite:///never-opened.db")

    @engine.job(name="work", queue="mail")
    async def work() -> None: ...

    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    found = collected(reader)
    (point,) = found["messaging.process.duration"].data.data_points
    assert dict(point.attributes) == {
        "messaging.operation.name": "process",
        "messaging.system": "aiojobs_engine",
        "messaging.destination.name": "mail",
        "aiojobs_engine.task.name": "work",
    }
    assert point.explicit_bounds == metrics.RUN_SECONDS.buckets
    assert point.count == 1
    (done,) = found["aiojobs_engine.job.completed"].data.data_points
    assert (done.value, done.attributes["aiojobs_engine.job.outcome"]) == (1, "succeeded")


async def test_metrics_can_be_switched_off(reader: InMemoryMetricReader) -> None:
    engine = Engine("sqlite:///never-opened.db", config={"telemetry": {"metrics": False}})

    @engine.job(name="work")
    async def work() -> None: ...

    async with TestEngine(engine) as t:
        await t.engine.dispatch(work)
        await t.drain()

    assert reader.get_metrics_data() is None


def test_every_metric_of_the_catalogue_has_its_instrument(reader: InMemoryMetricReader) -> None:
    collector = OtelCollector()
    for metric in CATALOGUE:
        labels = tuple("x" for _ in metric.labels)
        match metric.kind:
            case "counter":
                collector.add(metric, labels, 1)
            case "gauge":
                collector.set(metric, labels, 1)
            case "histogram":
                collector.observe(metric, labels, [1, 2])

    found = collected(reader)
    assert {name: (metric.unit, metric.description) for name, metric in found.items()} == {
        metric.name: (metric.unit, metric.about) for metric in CATALOGUE
    }
