"""One line per job that ended or is tried again, through the standard library's logging."""

import logging
from collections.abc import Sequence
from operator import attrgetter

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.events import (
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDiscarded,
    JobEvent,
    JobExpired,
    JobFailed,
    JobProgressed,
    JobRetrying,
    JobStarted,
    LeaseLost,
)
from aiojobs_engine.core.limits import one_line
from aiojobs_engine.core.state import Status
from aiojobs_engine.events.bus import Subscription
from aiojobs_engine.events.switches import Switches

logger = logging.getLogger("aiojobs_engine.jobs")

CLASSES = (JobCompleted, JobFailed, JobRetrying, JobCancelled, JobDiscarded, JobExpired, LeaseLost)

_HEARD = frozenset(CLASSES)
_UNTOLD = frozenset({JobCreated, JobStarted, JobProgressed, JobCompleted})
_status = attrgetter("status")


def log_subscription(settings: Settings) -> Subscription | None:
    """The log listener, None when it is off everywhere; it takes only what logging is set up to show."""
    switches = Switches(settings, "log")
    if switches.is_off_everywhere:
        return None

    def pick(events: Sequence[JobEvent]) -> Sequence[int]:
        if (
            not logger.isEnabledFor(logging.INFO)
            and _UNTOLD.issuperset(map(type, events))
            and Status.PARTIAL not in map(_status, events)
        ):
            return ()
        return [
            index
            for index, event in enumerate(events)
            if type(event) in _HEARD and logger.isEnabledFor(level_of(event))
        ]

    async def write_heard(event: JobEvent) -> None:
        if switches.is_on(event.type, event.kind):
            write(event)

    return Subscription(call=write_heard, classes=CLASSES, pick=pick)


def write(event: JobEvent) -> None:
    """Log one event; the record carries `job_id`, `job_type`, `kind`, `queue`, `status` and `attempt`."""
    extra = {
        "job_id": event.job_id,
        "job_type": event.type,
        "kind": event.kind,
        "queue": event.queue,
        "status": str(event.status),
        "attempt": event.attempt,
    }
    logger.log(level_of(event), "%s", line_of(event), extra=extra)


def level_of(event: JobEvent) -> int:
    """ERROR for jobs that failed, WARNING for what people should look at, else INFO; of chunks DEBUG."""
    match event:
        case JobFailed():
            return logging.ERROR
        case JobExpired() | LeaseLost():
            return logging.WARNING
        case JobRetrying(error=error) if error:
            return logging.WARNING
        case JobCompleted(status=Status.PARTIAL, parent_id=None):
            return logging.WARNING
        case _:
            return logging.INFO if event.parent_id is None else logging.DEBUG


def line_of(event: JobEvent) -> str:
    """The event as one line, without line breaks from errors."""
    subject = f"job {event.job_id} ({event.type})"
    match event:
        case JobFailed(error=error, reason=reason):
            return f"{subject} failed, attempt {event.attempt}, {reason}: {_flat(error)}"
        case JobRetrying(error=error, due_at=due_at) if error:
            delay = max(0, due_at - event.at) / 1000
            return f"{subject} is tried again in {delay:g} s, attempt {event.attempt} failed: {_flat(error)}"
        case JobRetrying(due_at=due_at):
            return f"{subject} runs again in {max(0, due_at - event.at) / 1000:g} s"
        case JobCompleted() if event.total:
            rows = f"{event.succeeded:,} of {event.total:,}, {event.failed:,} failed"
            return f"{subject} is {event.status}: {rows}"
        case JobDiscarded(reason=reason):
            return f"{subject} is discarded: {_flat(reason)}"
        case LeaseLost(worker=worker):
            return f"{subject} was lost with worker {worker}"
        case _:
            return f"{subject} is {event.status}"


def _flat(text: str) -> str:
    return one_line(" ".join(text.split()))[:500]
