"""Figures for Prometheus: as text, and from a server in a thread, which answers while the loop is blocked.

Names are those that OpenTelemetry's rules for Prometheus give: dots become underscores, seconds and totals
are in the name.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.metrics import CATALOGUE, Metric
from aiojobs_engine.ports.metrics import Labels
from aiojobs_engine.telemetry.collectors import Histogram, InMemoryCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PATIENCE = 10.0
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def prometheus_name(metric: Metric) -> str:
    """The name under which Prometheus knows a metric; of histograms without `_bucket`, `_sum`, `_count`."""
    name = metric.name.replace(".", "_")
    if metric.unit == "s":
        name += "_seconds"
    return f"{name}_total" if metric.kind == "counter" else name


def exposition(collector: InMemoryCollector) -> str:
    """Everything that was collected, in Prometheus's text format."""
    return "".join(line + "\n" for metric in CATALOGUE for line in _lines(metric, collector))


class MetricsServer:
    """Answers `GET /metrics` in threads of its own until it is closed.

    Attributes:
        port: where it listens.
    """

    def __init__(self, collector: InMemoryCollector, host: str, port: int) -> None:
        """Listen at once; port 0 takes a free one.

        Raises:
            ConfigError: it can't listen there.
        """

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(HTTPStatus.NOT_FOUND, "the figures are at /metrics")
                    return
                body = exposition(collector).encode()
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"metrics can't be served at {host}:{port}: {error}") from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, name="aiojobs-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _lines(metric: Metric, collector: InMemoryCollector) -> Iterator[str]:
    name = prometheus_name(metric)
    numbers = collector.numbers(metric)
    histograms = collector.histograms(metric)
    if not numbers and not histograms:
        return
    yield f"# HELP {name} {metric.about}"
    yield f"# TYPE {name} {metric.kind}"
    for labels, number in numbers.items():
        yield f"{name}{_shown(_pairs(metric, labels))} {_number(number)}"
    for labels, histogram in histograms.items():
        yield from _buckets(name, metric, _pairs(metric, labels), histogram)


def _buckets(name: str, metric: Metric, pairs: Mapping[str, str], histogram: Histogram) -> Iterator[str]:
    below = 0
    counts = list(histogram.counts)
    for bound, count in zip([*map(_number, metric.buckets), "+Inf"], counts, strict=True):
        below += count
        yield f"{name}_bucket{_shown({**pairs, 'le': bound})} {below}"
    yield f"{name}_sum{_shown(pairs)} {_number(histogram.total)}"
    yield f"{name}_count{_shown(pairs)} {below}"


def _pairs(metric: Metric, labels: Labels) -> dict[str, str]:
    pairs = zip(metric.labels, labels, strict=True)
    return {name.replace(".", "_"): value for name, value in pairs if value}


def _shown(pairs: Mapping[str, str]) -> str:
    if not pairs:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items()) + "}"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def _number(value: float) -> str:
    return repr(float(value)) if value != int(value) else str(int(value))
