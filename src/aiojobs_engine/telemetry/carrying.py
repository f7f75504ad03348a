"""How the context of a span travels: in the headers of envelopes, and from one run of a job to the next."""

from collections.abc import Mapping
from contextvars import Token

import msgspec
from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aiojobs_engine.core.envelope import Envelope

LARGEST_HEADERS = 8192
"""Bytes of trace context that a job carries at most; else large headers, such as baggage, stay behind."""

_LARGEST_BESIDE = 512
_TRACEPARENT = "traceparent"
_W3C = TraceContextTextMapPropagator()


class Inside:
    """`with Inside(headers):` puts the context that headers tell of in force; for one body at a time."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Keep what `propagate.inject` wrote; it can be pickled before it is entered."""
        self._headers = dict(headers)
        self._tokens: list[Token[Context]] = []

    def __enter__(self) -> None:
        """Attach the context."""
        self._tokens.append(contexts.attach(propagate.extract(self._headers)))

    def __exit__(self, *_: object) -> None:
        """Detach it."""
        contexts.detach(self._tokens.pop())


def headers_of(context: Context | None = None) -> dict[str, str]:
    """What a job carries of `context`, of the current one without."""
    headers: dict[str, str] = {}
    propagate.inject(headers, context)
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size <= LARGEST_HEADERS:
        return headers
    return {name: value for name, value in headers.items() if len(value) <= _LARGEST_BESIDE}


def carrying(envelope: Envelope, headers: Mapping[str, str]) -> Envelope:
    """The same envelope with these headers."""
    return msgspec.structs.replace(envelope, headers=dict(headers))


def created_in(envelope: Envelope) -> Context:
    """The context that an envelope carries, with its baggage."""
    return propagate.extract(envelope.headers, Context()) if envelope.headers else Context()


def creator_of(envelope: Envelope) -> trace.SpanContext:
    """The span that dispatched or created the job; an invalid one of nothing."""
    return trace.get_current_span(created_in(envelope)).get_span_context()


def traceparent_of(span: Span) -> str:
    """A span as another one names it in a link."""
    carried: dict[str, str] = {}
    _W3C.inject(carried, trace.set_span_in_context(span))
    return carried.get(_TRACEPARENT, "")


def context_of(traceparent: str | None) -> trace.SpanContext:
    """What `traceparent_of` an earlier span tells; an invalid one of nothing."""
    carried = {} if traceparent is None else {_TRACEPARENT: traceparent}
    return trace.get_current_span(_W3C.extract(carried, Context())).get_span_context()
