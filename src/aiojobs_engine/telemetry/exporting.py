"""The providers of a worker process that has none of its own. The only module that needs the SDK."""

import importlib
import logging
import os
import socket
import sys
from collections.abc import Collection
from threading import Thread
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from aiojobs_engine.core.errors import ConfigError

logger = logging.getLogger(__name__)

_OTLP = "opentelemetry.exporter.otlp.proto.http"
_NAME = "aiojobs-engine"
_CLOSING = 5.0
_SDK = "opentelemetry"
_SENDERS = (_SDK, "urllib3", "requests")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TOLD_BY_CONTEXT = frozenset({"trace_id", "span_id"})
_SHOWN = 1000
_LEVELS = 4


class Exports:
    """Sends spans, figures and log records in batches, from threads, while it lasts."""

    def __init__(self, exporter: str, signals: Collection[str]) -> None:
        """Set the providers for `signals`; the environment variables of OpenTelemetry count.

        Raises:
            ConfigError: the exporter is not installed.
        """
        own = {SERVICE_NAME: _NAME, SERVICE_INSTANCE_ID: f"{socket.gethostname()}.{os.getpid()}"}
        self._resource = Resource(own).merge(OTELResourceDetector().detect())
        self._providers: list[Any] = []
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []
        self._hears_sdk = logging.getLogger(_SDK).propagate
        if "traces" in signals:
            self._send_spans(ConsoleSpanExporter(out=sys.stderr) if exporter == "console" else _spans())
        if "metrics" in signals and exporter == "otlp":
            self._send_figures()
        if "logs" in signals and exporter == "otlp":
            self._send_logs()
        if exporter == "otlp":
            self._add_handler(logging.getLogger(_SDK), _FirstTrouble(logging.WARNING))
            logging.getLogger(_SDK).propagate = False

    def end(self) -> None:
        """Send what is left, for at most 5 seconds."""
        closing = Thread(target=self._shut_down, name="aiojobs-telemetry-end", daemon=True)
        closing.start()
        closing.join(_CLOSING)
        for heard, handler in self._handlers:
            heard.removeHandler(handler)
        logging.getLogger(_SDK).propagate = self._hears_sdk

    def _shut_down(self) -> None:
        threads = [Thread(target=each.shutdown, daemon=True) for each in self._providers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send_spans(self, exporter: Any) -> None:
        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        self._providers.append(provider)

    def _send_figures(self) -> None:
        reader = PeriodicExportingMetricReader(_made("metric_exporter", "OTLPMetricExporter"))
        provider = MeterProvider([reader], resource=self._resource, shutdown_on_exit=False)
        metrics.set_meter_provider(provider)
        self._providers.append(provider)

    def _send_logs(self) -> None:
        provider = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(_made("_log_exporter", "OTLPLogExporter")))
        self._add_handler(logging.getLogger(), _Sending(provider))
        self._providers.append(provider)

    def _add_handler(self, heard: logging.Logger, handler: logging.Handler) -> None:
        heard.addHandler(handler)
        self._handlers.append((heard, handler))


class _Sending(logging.Handler):
    """Hands log records to OpenTelemetry, but those of the sending itself, which would never end."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _SENDERS:
            return
        fields = vars(record)
        names = fields.keys() - _STANDARD - _TOLD_BY_CONTEXT
        attributes = {name: _attribute(fields[name]) for name in names if fields[name] is not None}
        if record.exc_text:
            attributes["exception.stacktrace"] = record.exc_text
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=round(record.created * 1e9),
                severity_text=record.levelname,
                severity_number=_severity(record.levelno),
                body=record.getMessage(),
                attributes=attributes,
            )
        )


class _FirstTrouble(logging.Handler):
    """Says once that nothing is taken; the exporters would say it with every batch."""

    _is_told = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_told:
            self._is_told = True
            logger.warning(
                "spans, metrics or logs can't be sent; jobs go on without: %s", record.getMessage()
            )


def _spans() -> Any:
    return _made("trace_exporter", "OTLPSpanExporter")


def _made(module: str, name: str) -> Any:
    try:
        found: Any = importlib.import_module(f"{_OTLP}.{module}")
    except ImportError as error:
        raise ConfigError("OTLP needs an extra: pip install 'aiojobs-engine[otel]'") from error
    return getattr(found, name)()


def _attribute(value: object) -> str | bool | float:
    return value if isinstance(value, str | bool | int | float) else repr(value)[:_SHOWN]


def _severity(level: int) -> SeverityNumber:
    """Of DEBUG 5, of INFO 9, of WARNING 13, of ERROR 17, of CRITICAL 21."""
    step = min(max(level // 10, 0), _LEVELS + 1)
    return SeverityNumber(1 + step * _LEVELS) if step else SeverityNumber.TRACE
