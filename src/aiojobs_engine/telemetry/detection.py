"""Whether the program has set OpenTelemetry up, without importing any of it."""

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec

from aiojobs_engine.core.config import Settings
from aiojobs_engine.ports.metrics import MetricsCollector
from aiojobs_engine.ports.tracing import FindTracing, Tracing, no_tracing

logger = logging.getLogger(__name__)

SIGNALS = ("traces", "metrics", "logs")

_METRICS = "opentelemetry.metrics._internal"
_METER_PROVIDER = "_METER_PROVIDER"
_METERS_CHOSEN = "OTEL_PYTHON_METER_PROVIDER"
_LOGS = "opentelemetry._logs._internal"
_LOGGER_PROVIDER = "_LOGGER_PROVIDER"
_LOGGERS_CHOSEN = "OTEL_PYTHON_LOGGER_PROVIDER"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_MODULE = "opentelemetry.trace"
_PROVIDER = "_TRACER_PROVIDER"
_CHOSEN = "OTEL_PYTHON_TRACER_PROVIDER"
_IDLE = frozenset({"ProxyTracerProvider", "NoOpTracerProvider"})


def find_tracing(settings: Settings) -> FindTracing:
    """Something that says at any time who makes spans: nobody while the tracer provider is the API's own."""
    if not settings.telemetry.tracing:
        return no_tracing
    return _detector(settings)


def find_collector(settings: Settings) -> MetricsCollector | None:
    """The collector for the meter provider that the program has set by now, None while it has none."""
    module = sys.modules.get(_METRICS)
    is_set = module is not None and vars(module).get(_METER_PROVIDER, module) is not None
    if not settings.telemetry.metrics or not (is_set or _METERS_CHOSEN in os.environ):
        return None
    from aiojobs_engine.telemetry.otel_metrics import OtelCollector  # noqa: PLC0415 - only where it is used

    return OtelCollector()


@contextmanager
def exported(wish: str) -> Generator[None]:
    """Send spans, figures and log records while the body runs; what is left is sent at the end.

    `otlp` sends over HTTP, `console` writes spans to standard error, `none` does nothing, and `auto` is
    `otlp` where OpenTelemetry's environment variables name an endpoint. What the program has set a provider
    for is left to it.

    Raises:
        ConfigError: the exporter is not installed, and `otlp` was asked for.
    """
    exporter, signals = _chosen(wish)
    if not signals:
        yield
        return
    from aiojobs_engine.telemetry.exporting import Exports  # noqa: PLC0415 - only where it is used

    exports = Exports(exporter, signals)
    try:
        yield
    finally:
        exports.end()


def _chosen(wish: str) -> tuple[str, list[str]]:
    """Which exporter, and for what."""
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if wish == "none" or (wish == "auto" and is_disabled):
        return "none", []
    signals = [signal for signal in SIGNALS if wish != "auto" or _has_endpoint(signal)]
    signals = [signal for signal in signals if os.environ.get(f"OTEL_{signal.upper()}_EXPORTER") != "none"]
    if not signals:
        return "none", []
    if wish == "auto" and not _has_exporter():
        logger.warning(
            "the environment names a collector of OpenTelemetry; "
            "to send there: pip install 'aiojobs-engine[otel]'"
        )
        return "none", []
    return ("otlp" if wish == "auto" else wish), [signal for signal in signals if not _is_set(signal)]


def _has_exporter() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _has_endpoint(signal: str) -> bool:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    return bool(os.environ.get(_ENDPOINT) or os.environ.get(own))


def _is_set(signal: str) -> bool:
    """Whether the program has a provider."""
    if signal == "traces":
        return type(_current()).__name__ not in _IDLE
    name, variable, chosen = (
        (_METRICS, _METER_PROVIDER, _METERS_CHOSEN)
        if signal == "metrics"
        else (_LOGS, _LOGGER_PROVIDER, _LOGGERS_CHOSEN)
    )
    module = sys.modules.get(name)
    return chosen in os.environ or (module is not None and vars(module).get(variable) is not None)


def _detector(settings: Settings) -> FindTracing:
    """Look again at each call until there is a provider, since programs set theirs up when they like."""
    is_chosen = _CHOSEN in os.environ
    seen: object = None
    found: Tracing | None = None

    def find() -> Tracing | None:
        nonlocal seen, found
        if not is_chosen:
            module = sys.modules.get(_MODULE)
            # what get_tracer_provider would ask first, at a tenth of its price: this runs for every job
            if module is None or vars(module).get(_PROVIDER, module) is None:
                return None
        provider = _current()
        if provider is not seen:
            seen = provider
            found = None if type(provider).__name__ in _IDLE else _made(settings)
        return found

    return find


def _made(settings: Settings) -> Tracing:
    from aiojobs_engine.telemetry.tracing import OtelTracing  # noqa: PLC0415 - only where it is used

    telemetry = settings.telemetry
    return OtelTracing(
        url=settings.url,
        parenting=telemetry.trace_parenting,
        settlements=telemetry.trace_settlements,
    )


def _current() -> object:
    from opentelemetry import trace  # noqa: PLC0415 - the same

    return trace.get_tracer_provider()
