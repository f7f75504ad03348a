"""Whether the program has set OpenTelemetry up, without importing any of it."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from aiojobs_engine.core.config import Settings
from aiojobs_engine.ports.metrics import MetricsCollector
from aiojobs_engine.ports.tracing import FindTracing, Tracing, no_tracing

_METRICS = "opentelemetry.metrics._internal"
_METER_PROVIDER = "_METER_PROVIDER"
_METERS_CHOSEN = "OTEL_PYTHON_METER_PROVIDER"
_MODULE = "opentelemetry.trace"
_PROVIDER = "_TRACER_PROVIDER"
_CHOSEN = "OTEL_PYTHON_TRACER_PROVIDER"
_IDLE = frozenset({"ProxyTracerProvider", "NoOpTracerProvider"})


def find_tracing(settings: Settings) -> FindTracing:
    """Something that says at any time who makes spans: nobody while the tracer provider is the API's own."""
    if not settings.telemetry.tracing:
        return no_tracing
    return _Detector(settings)


def find_collector(settings: Settings) -> MetricsCollector | None:
    """The collector for the meter provider that the program has set by now, None while it has none."""
    module = sys.modules.get(_METRICS)
    is_set = module is not None and vars(module).get(_METER_PROVIDER, module) is not None
    if not settings.telemetry.metrics or not (is_set or _METERS_CHOSEN in os.environ):
        return None
    from aiojobs_engine.telemetry.otel_metrics import OtelCollector  # noqa: PLC0415 - only where it is used

    return OtelCollector()


@contextmanager
def exported(exporter: str) -> Generator[None]:
    """Send spans while the body runs: by `otlp` over HTTP, or to standard error (`console`).

    Nothing is done for `none`, or when the program has set a provider. What is left is sent at the end.

    Raises:
        ConfigError: the exporter is not installed.
    """
    if exporter == "none" or type(_current()).__name__ not in _IDLE:
        yield
        return
    from aiojobs_engine.telemetry.exporting import provider_for  # noqa: PLC0415 - only where it is used

    provider = provider_for(exporter)
    try:
        yield
    finally:
        provider.shutdown()


class _Detector:
    """Looks again at each call until there is a provider, since programs set theirs up when they like."""

    __slots__ = ("_found", "_is_chosen", "_provider", "_settings")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_chosen = _CHOSEN in os.environ
        self._provider: object = None
        self._found: Tracing | None = None

    def __call__(self) -> Tracing | None:
        if not self._is_chosen:
            module = sys.modules.get(_MODULE)
            # what get_tracer_provider would ask first, at a tenth of its price: this runs for every job
            if module is None or vars(module).get(_PROVIDER, module) is None:
                return None
        provider = _current()
        if provider is not self._provider:
            self._provider = provider
            self._found = None if type(provider).__name__ in _IDLE else self._made()
        return self._found

    def _made(self) -> Tracing:
        from aiojobs_engine.telemetry.tracing import OtelTracing  # noqa: PLC0415 - only where it is used

        telemetry = self._settings.telemetry
        return OtelTracing(
            url=self._settings.url,
            parenting=telemetry.trace_parenting,
            settlements=telemetry.trace_settlements,
        )


def _current() -> object:
    from opentelemetry import trace  # noqa: PLC0415 - the same

    return trace.get_tracer_provider()
