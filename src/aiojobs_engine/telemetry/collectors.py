"""A collector in memory: for tests, and for Prometheus, which asks for the sums."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.metrics import Metric
from aiojobs_engine.ports.metrics import Labels


class Histogram:
    """The values of one series.

    Attributes:
        counts: values per bucket, the last one for those beyond all bounds.
        total: their sum.
    """

    __slots__ = ("_buckets", "counts", "total")

    def __init__(self, buckets: Sequence[float]) -> None:
        """Have no values yet."""
        self._buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts)

    def observe(self, values: Sequence[float]) -> None:
        """Count values."""
        buckets, counts = self._buckets, self.counts
        for value in values:
            counts[bisect_left(buckets, value)] += 1
        self.total += sum(values)


class InMemoryCollector:
    """Keeps sums. It is written on one thread, and may be read on others."""

    def __init__(self) -> None:
        """Be empty."""
        self._numbers: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
        self._histograms: defaultdict[str, dict[Labels, Histogram]] = defaultdict(dict)

    def add(self, counter: Metric, labels: Labels, amount: float) -> None:
        """Let a counter rise."""
        series = self._numbers[counter.name]
        series[labels] = series.get(labels, 0) + amount

    def observe(self, histogram: Metric, labels: Labels, values: Sequence[float]) -> None:
        """Count values."""
        series = self._histograms[histogram.name]
        found = series.get(labels)
        if found is None:
            found = series[labels] = Histogram(histogram.buckets)
        found.observe(values)

    def set(self, gauge: Metric, labels: Labels, value: float) -> None:
        """Note a value."""
        self._numbers[gauge.name][labels] = value

    def value(self, metric: Metric, **labels: str) -> float:
        """The sum of a counter or gauge over the series with these labels; of a histogram, how many values.

        A label is written with underscores for its dots.

        Raises:
            ConfigError: the metric has no such label.
        """
        wanted = _places(metric, labels)
        if metric.kind == "histogram":
            return sum(each.count for found, each in self.histograms(metric).items() if _fits(found, wanted))
        return sum(number for found, number in self.numbers(metric).items() if _fits(found, wanted))

    def numbers(self, metric: Metric) -> dict[Labels, float]:
        """The series of a counter or gauge."""
        return dict(self._numbers.get(metric.name, {}))

    def histograms(self, metric: Metric) -> dict[Labels, Histogram]:
        """The series of a histogram."""
        return dict(self._histograms.get(metric.name, {}))


def _places(metric: Metric, labels: dict[str, str]) -> dict[int, str]:
    known = [name.replace(".", "_") for name in metric.labels]
    for name in labels:
        if name not in known:
            raise ConfigError(f"{metric.name} has no label {name!r}; it has {', '.join(known) or 'none'}")
    return {known.index(name): value for name, value in labels.items()}


def _fits(found: Labels, wanted: dict[int, str]) -> bool:
    return all(found[place] == value for place, value in wanted.items())
