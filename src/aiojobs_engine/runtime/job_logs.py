"""Log records that say which job they belong to."""

import logging
import sys
from typing import Any

from aiojobs_engine.runtime.context import job_here

_TRACING = "opentelemetry.trace"


class JobLogFilter(logging.Filter):
    """Adds `job_id`, `job_type`, `queue` and `attempt` to records of handlers of jobs, in their threads too.

    Where a span is current, `trace_id` and `span_id` are added, in OpenTelemetry's spelling. Add it to
    logging's handlers, not to loggers, whose filters don't see the records of loggers below. Fields that a
    record has already stay. The command `worker` adds it by itself.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields, and let the record pass."""
        fields = vars(record)
        context = job_here()
        if context is not None:
            fields.setdefault("job_id", context.id)
            fields.setdefault("job_type", context.type)
            fields.setdefault("queue", context.queue)
            fields.setdefault("attempt", context.attempt)
        tracing: Any = sys.modules.get(_TRACING)
        if tracing is not None:
            span = tracing.get_current_span().get_span_context()
            if span.is_valid:
                fields.setdefault("trace_id", f"{span.trace_id:032x}")
                fields.setdefault("span_id", f"{span.span_id:016x}")
        return True
