"""Spans by the OpenTelemetry API, in the names of `names.py`. Imported only where a tracer provider is set.

The context of the span that dispatched a job travels in the envelope's headers. A run is by default the
root of a trace of its own, linked to that context: jobs that wait, repeat or come by cron would make traces
without end. Baggage is handed on in any case.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode, Tracer

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.outcome import Outcome
from aiojobs_engine.ports.backend import Claim, Settlement
from aiojobs_engine.ports.cron import Fire, Fired, FireOutcome
from aiojobs_engine.ports.tracing import Attempt, Carry
from aiojobs_engine.telemetry import names
from aiojobs_engine.telemetry.carrying import (
    Inside,
    carrying,
    context_of,
    created_in,
    creator_of,
    headers_of,
    traceparent_of,
)

MOST_CREATED = 100
"""Up to as many jobs of a dispatch get a span each; larger ones share the span of the dispatch."""

_MOST_LINKS = 128

Attributes = dict[str, str | int]


class OtelTracing:
    """Makes spans with the tracer provider that is set when it is made."""

    def __init__(self, *, url: str, parenting: Literal["link", "parent"], settlements: bool) -> None:
        """Tell of the store at `url` where it is a server."""
        self._tracer = trace.get_tracer(names.SCOPE, schema_url=names.SCHEMA)
        self._is_parent = parenting == "parent"
        self._settlements = settlements
        self._base: Attributes = {names.MESSAGING_SYSTEM: names.SYSTEM, **_server(url)}

    @contextmanager
    def send(self, envelope: Envelope) -> Generator[Envelope]:
        """A `dispatch` or `schedule` span, active in its body."""
        operation = names.DISPATCH if envelope.scheduled_at is None else names.SCHEDULE
        attributes = self._attributes(operation, names.SEND, envelope.queue)
        span = self._start(operation, SpanKind.PRODUCER, {**attributes, **_of_message(envelope)})
        with _active(span), _ending(span):
            yield carrying(envelope, headers_of())

    @contextmanager
    def send_many(self) -> Generator[Carry]:
        """One `dispatch` span, with a `create` span per job as long as they are few; none is active."""
        sending = _Sending(self)
        try:
            yield sending.carry
        except BaseException as error:
            sending.end(error)
            raise
        sending.end(None)

    def fire(self, fires: Sequence[Fire]) -> "CronFiring":
        """A `schedule` span per fire that has a job."""
        return CronFiring(self, fires)

    def received(self, claims: Sequence[Claim], at: Instant, seconds: float) -> None:
        """A `receive` span per queue, linked to what created its jobs; told afterwards: none is empty."""
        queues: defaultdict[str, list[Envelope]] = defaultdict(list)
        for claim in claims:
            queues[claim.envelope.queue].append(claim.envelope)
        ended_at = at * 1_000_000
        for queue, envelopes in queues.items():
            attributes = self._attributes(names.RECEIVE, names.RECEIVE, queue)
            attributes[names.BATCH_COUNT] = len(envelopes)
            self._tracer.start_span(
                _named(names.RECEIVE, queue),
                Context(),
                SpanKind.CLIENT,
                attributes,
                [Link(one) for one in map(creator_of, envelopes[:_MOST_LINKS]) if one.is_valid],
                start_time=ended_at - round(seconds * 1e9),
            ).end(ended_at)

    @contextmanager
    def process(self, claim: Claim, worker: str, max_attempts: int) -> Generator["RunSpan"]:
        """A `process` span, linked to the context that created the job and to the run before that failed."""
        envelope = claim.envelope
        created = created_in(envelope)
        creator = trace.get_current_span(created).get_span_context()
        earlier = (creator, context_of(claim.failed_trace))
        attributes = {
            **self._attributes(names.PROCESS, names.PROCESS, envelope.queue),
            **_of_message(envelope),
            names.CLIENT_ID: worker,
            names.JOB_ATTEMPT: claim.attempts + 1,
            names.JOB_MAX_ATTEMPTS: max_attempts,
        }
        span = self.tracer.start_span(
            _named(names.PROCESS, envelope.queue),
            created if self._is_parent else trace.set_span_in_context(INVALID_SPAN, created),
            SpanKind.CONSUMER,
            attributes,
            [Link(one) for one in earlier if one.is_valid],
            record_exception=False,
            set_status_on_exception=False,
        )
        attempt = RunSpan(span)
        token = contexts.attach(trace.set_span_in_context(span, created))
        try:
            yield attempt
        finally:
            contexts.detach(token)
            attempt.decided(None, None)

    @contextmanager
    def settle(self, written: Sequence[tuple[Attempt | None, Envelope, Settlement]]) -> Generator[None]:
        """A span per operation and queue of the write, in the trace of its first run, linked to the rest."""
        spans = self._settle_spans(written) if self._settlements else []
        try:
            yield
        except BaseException as error:
            for span in spans:
                _fail(span, error)
            raise
        finally:
            for span in spans:
                span.end()

    def carried(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Envelopes with the current context."""
        headers = headers_of()
        return [carrying(envelope, headers) for envelope in envelopes]

    def here(self) -> "Inside":
        """The current context, to be put in force elsewhere."""
        return Inside(headers_of())

    def inside(self, headers: Mapping[str, str]) -> "Inside":
        """The context that an envelope carries."""
        return Inside(headers)

    @property
    def tracer(self) -> Tracer:
        """Where its spans come from."""
        return self._tracer

    def start_message(self, operation: str, type: str, envelope: Envelope, context: Context | None) -> Span:
        """The span of one message, not active."""
        attributes = {**self._attributes(operation, type, envelope.queue), **_of_message(envelope)}
        return self._start(operation, SpanKind.PRODUCER, attributes, context=context)

    def start_batch(
        self, operation: str, type: str, queue: str | None, kind: SpanKind, created: Iterable[Span]
    ) -> Span:
        """The span of a batch, not active, linked to the spans that created its messages."""
        links = [Link(span.get_span_context()) for span in created]
        return self._start(operation, kind, self._attributes(operation, type, queue), links=links)

    def _settle_spans(self, written: Sequence[tuple[Attempt | None, Envelope, Settlement]]) -> list[Span]:
        groups: defaultdict[tuple[str, str], list[trace.SpanContext]] = defaultdict(list)
        counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        for attempt, envelope, settlement in written:
            key = (names.settle_name(settlement.status), envelope.queue)
            counts[key] += 1
            if isinstance(attempt, RunSpan) and len(groups[key]) < _MOST_LINKS:
                groups[key].append(attempt.context)
        spans: list[Span] = []
        for (operation, queue), count in counts.items():
            runs = groups[operation, queue]
            inside = trace.set_span_in_context(
                trace.NonRecordingSpan(runs[0]) if runs else INVALID_SPAN, Context()
            )
            attributes = self._attributes(operation, names.SETTLE, queue)
            attributes[names.BATCH_COUNT] = count
            links = [Link(run) for run in runs[1:]]
            spans.append(self._start(operation, SpanKind.CLIENT, attributes, context=inside, links=links))
        return spans

    def _attributes(self, operation: str, type: str, queue: str | None) -> Attributes:
        attributes = {**self._base, names.OPERATION_NAME: operation, names.OPERATION_TYPE: type}
        if queue is not None:
            attributes[names.DESTINATION] = queue
        return attributes

    def _start(
        self,
        operation: str,
        kind: SpanKind,
        attributes: Attributes,
        *,
        context: Context | None = None,
        links: Sequence[Link] | None = None,
    ) -> Span:
        queue = attributes.get(names.DESTINATION)
        return self._tracer.start_span(
            _named(operation, queue),
            context,
            kind,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        )


class RunSpan:
    """The span of one run; it ends once, with what became of the run.

    Attributes:
        context: what settlements link to.
    """

    __slots__ = ("_has_ended", "_span", "context")

    def __init__(self, span: Span) -> None:
        """End `span`."""
        self._span = span
        self._has_ended = False
        self.context = span.get_span_context()

    @property
    def trace(self) -> str:
        """The span as other runs name it in a link."""
        return traceparent_of(self._span)

    def decided(self, outcome: Outcome | None, settlement: Settlement | None) -> None:
        """End the span; after the first time without effect."""
        if self._has_ended:
            return
        self._has_ended = True
        name = names.outcome_name(outcome, settlement)
        span = self._span
        span.set_attribute(names.JOB_OUTCOME, name)
        error = None if settlement is None else settlement.error
        if name in names.ERRORS and error is not None:
            span.set_attribute(names.ERROR_TYPE, error.type)
            span.add_event(
                "exception",
                {
                    "exception.type": error.type,
                    "exception.message": error.message,
                    "exception.stacktrace": error.traceback or "",
                },
            )
            span.set_status(Status(StatusCode.ERROR, error.message))
        span.end()


class CronFiring:
    """The spans of fires. Many workers fire the same; a span ends, and is told, only where it stored a job.

    Attributes:
        fires: with the context of their spans.
    """

    __slots__ = ("_spans", "fires")

    def __init__(self, tracing: OtelTracing, fires: Sequence[Fire]) -> None:
        """Begin a span, the root of a trace, for each fire that has a job."""
        self._spans: list[Span | None] = []
        self.fires: list[Fire] = []
        for fire in fires:
            span, job = None, fire.job
            if job is not None:
                span = tracing.start_message(names.SCHEDULE, names.SEND, job, Context())
                span.set_attribute(names.CRON_KEY, fire.name)
                headers = headers_of(trace.set_span_in_context(span, Context()))
                fire = msgspec.structs.replace(fire, job=carrying(job, headers))  # noqa: PLW2901 - the same fire
            self._spans.append(span)
            self.fires.append(fire)

    def end(self, answers: Sequence[Fired]) -> None:
        """End the spans of the fires that stored a job."""
        for span, answer in zip(self._spans, answers, strict=True):
            if span is not None and answer.outcome in {FireOutcome.FIRED, FireOutcome.BY_HAND}:
                span.end()


class _Sending:
    """The span of one `dispatch_many`, from its first slice on."""

    def __init__(self, tracing: OtelTracing) -> None:
        self._tracing = tracing
        self._span: Span | None = None
        self._is_shared = False
        self._count = 0

    def carry(self, envelopes: list[Envelope]) -> list[Envelope]:
        if self._span is None:
            self._is_shared = len(envelopes) > MOST_CREATED
            queues = {envelope.queue for envelope in envelopes}
            queue = queues.pop() if len(queues) == 1 else None
            created = [] if self._is_shared else self._created(envelopes)
            kind = SpanKind.PRODUCER if self._is_shared else SpanKind.CLIENT
            spans = [span for span, _ in created]
            self._span = self._tracing.start_batch(names.DISPATCH, names.SEND, queue, kind, spans)
            self._count = len(envelopes)
            if created:
                return [envelope for _, envelope in created]
        else:
            self._count += len(envelopes)
        headers = headers_of(trace.set_span_in_context(self._span))
        return [carrying(envelope, headers) for envelope in envelopes]

    def end(self, error: BaseException | None) -> None:
        if self._span is None:
            return
        self._span.set_attribute(names.BATCH_COUNT, self._count)
        if error is not None:
            _fail(self._span, error)
        self._span.end()

    def _created(self, envelopes: list[Envelope]) -> list[tuple[Span, Envelope]]:
        created: list[tuple[Span, Envelope]] = []
        for envelope in envelopes:
            span = self._tracing.start_message(names.CREATE, names.CREATE, envelope, None)
            created.append((span, carrying(envelope, headers_of(trace.set_span_in_context(span)))))
            span.end()
        return created


@contextmanager
def _active(span: Span) -> Generator[None]:
    token = contexts.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        contexts.detach(token)


@contextmanager
def _ending(span: Span) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        _fail(span, error)
        raise
    finally:
        span.end()


def _fail(span: Span, error: BaseException) -> None:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_attribute(names.ERROR_TYPE, name)
    span.set_status(Status(StatusCode.ERROR))


def _of_message(envelope: Envelope) -> Attributes:
    attributes: Attributes = {names.MESSAGE_ID: envelope.id, names.TASK_NAME: envelope.type}
    if envelope.parent_id is not None:
        attributes[names.CONVERSATION_ID] = envelope.parent_id
    if envelope.scheduled_at is not None:
        attributes[names.JOB_SCHEDULED_AT] = envelope.scheduled_at
    return attributes


def _named(operation: str, queue: object) -> str:
    return operation if queue is None else f"{operation} {queue}"


def _server(url: str) -> Attributes:
    parts = urlsplit(url)
    if not parts.scheme.startswith("redis") or parts.hostname is None or "," in parts.netloc:
        return {}
    found: Attributes = {names.SERVER_ADDRESS: parts.hostname}
    if parts.port is not None:
        found[names.SERVER_PORT] = parts.port
    return found
