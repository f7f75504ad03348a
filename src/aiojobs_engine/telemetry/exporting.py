"""The tracer provider of a worker process that has none of its own. The only module that needs the SDK."""

import importlib
import sys
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from aiojobs_engine.core.errors import ConfigError

_OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_NAME = "aiojobs-engine"


def provider_for(exporter: str) -> TracerProvider:
    """Set and give a provider that exports in batches; the environment variables of OpenTelemetry count.

    Raises:
        ConfigError: the exporter is not installed.
    """
    resource = Resource({SERVICE_NAME: _NAME}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_exporter(exporter)))
    trace.set_tracer_provider(provider)
    return provider


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    try:
        module: Any = importlib.import_module(_OTLP)
    except ImportError as error:
        raise ConfigError("spans by OTLP need an extra: pip install 'aiojobs-engine[otel]'") from error
    return cast("SpanExporter", module.OTLPSpanExporter())
