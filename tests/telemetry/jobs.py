"""Jobs that processes find by their name."""

from opentelemetry import baggage, trace

from aiojobs_engine import JobRegistry

registry = JobRegistry()


@registry.job(name="carried", run_in="process")
def carried() -> tuple[str, str]:
    """What reached the process: the span's id and the baggage."""
    context = trace.get_current_span().get_span_context()
    return f"{context.span_id:x}", str(baggage.get_baggage("tenant"))
