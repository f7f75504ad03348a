"""Where figures go: the port that collectors implement."""

from collections.abc import Sequence
from typing import Protocol

from aiojobs_engine.core.metrics import Metric

Labels = tuple[str, ...]
"""The values of a metric's labels, in its order; an empty one counts as absent."""


class MetricsCollector(Protocol):
    """Takes figures of the metrics in `core/metrics.py`.

    It is called on the event loop, a few times per batch of jobs, never per job: it must be quick, and not
    block. What it raises is logged, and delays no job. The number of different labels is bounded.
    """

    def add(self, counter: Metric, labels: Labels, amount: float) -> None:
        """Let a counter rise by `amount`, at least 0."""
        ...

    def observe(self, histogram: Metric, labels: Labels, values: Sequence[float]) -> None:
        """Count values, in the metric's unit."""
        ...

    def set(self, gauge: Metric, labels: Labels, value: float) -> None:
        """Note what is so now."""
        ...
