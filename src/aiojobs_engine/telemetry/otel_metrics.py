"""A collector that hands figures to OpenTelemetry. Imported only where a meter provider is set."""

from collections.abc import Sequence
from typing import Any

from opentelemetry import metrics as otel
from opentelemetry.metrics import Meter

from aiojobs_engine.core.metrics import CATALOGUE, Metric
from aiojobs_engine.ports.metrics import Labels
from aiojobs_engine.telemetry.names import SCHEMA, SCOPE


class OtelCollector:
    """Records with the meter provider that is set when it is made."""

    def __init__(self) -> None:
        """Make every instrument of the catalogue."""
        meter = otel.get_meter(SCOPE, schema_url=SCHEMA)
        self._instruments: dict[str, Any] = {metric.name: _instrument(meter, metric) for metric in CATALOGUE}
        self._attributes: dict[tuple[str, Labels], dict[str, str]] = {}

    def add(self, counter: Metric, labels: Labels, amount: float) -> None:
        """Let a counter rise."""
        self._instruments[counter.name].add(amount, self._named(counter, labels))

    def observe(self, histogram: Metric, labels: Labels, values: Sequence[float]) -> None:
        """Record values."""
        record, attributes = self._instruments[histogram.name].record, self._named(histogram, labels)
        for value in values:
            record(value, attributes)

    def set(self, gauge: Metric, labels: Labels, value: float) -> None:
        """Set a gauge."""
        self._instruments[gauge.name].set(value, self._named(gauge, labels))

    def _named(self, metric: Metric, labels: Labels) -> dict[str, str]:
        key = (metric.name, labels)
        found = self._attributes.get(key)
        if found is None:
            pairs = zip(metric.labels, labels, strict=True)
            found = self._attributes[key] = {name: value for name, value in pairs if value}
        return found


def _instrument(meter: Meter, metric: Metric) -> Any:
    given = {"name": metric.name, "unit": metric.unit, "description": metric.about}
    if metric.kind == "counter":
        return meter.create_counter(**given)
    if metric.kind == "gauge":
        return meter.create_gauge(**given)
    return meter.create_histogram(**given, explicit_bucket_boundaries_advisory=list(metric.buckets))
