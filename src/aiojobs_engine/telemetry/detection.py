"""Whether the program has set OpenTelemetry up, without importing any of it."""

import os
import sys

from aiojobs_engine.core.config import Settings
from aiojobs_engine.ports.tracing import FindTracing, Tracing, no_tracing

_MODULE = "opentelemetry.trace"
_PROVIDER = "_TRACER_PROVIDER"
_CHOSEN = "OTEL_PYTHON_TRACER_PROVIDER"
_IDLE = frozenset({"ProxyTracerProvider", "NoOpTracerProvider"})


def find_tracing(settings: Settings) -> FindTracing:
    """Something that says at any time who makes spans: nobody while the tracer provider is the API's own."""
    if not settings.telemetry.tracing:
        return no_tracing
    return _Detector(settings)


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
