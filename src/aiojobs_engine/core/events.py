"""What happened to a job: one stored event per transition, and progress in between.

Events are stored in batches as JSON arrays (`encode_events`), which is why fields may only be added at
the end of a class and never move.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, UserId


class JobEvent(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True, tag_field="event"):
    """The root of all events.

    Attributes:
        at: ms since the epoch, UTC.
        attempt: 1 during the first run, 0 before it.
        parent_id: of a chunk, the bulk job that it belongs to.
        event_id: unique and opaque, the cursor that `engine.events(after=...)` takes. Empty until stored.
    """

    job_id: str
    type: str
    kind: str
    queue: str
    status: Status
    processed: int
    total: int
    succeeded: int
    failed: int
    user_id: UserId | None
    attempt: int
    at: Instant
    event_id: str = ""
    parent_id: str | None = None

    @property
    def cursor(self) -> str:
        """Where to go on reading after this event."""
        return self.event_id


class JobCreated(JobEvent, frozen=True):
    """The job was stored."""


class JobStarted(JobEvent, frozen=True):
    """A worker took the job and runs it."""

    worker: str = ""


class JobProgressed(JobEvent, frozen=True):
    """The counters or the message moved; at most four a second per job, the last one always."""

    message: str | None = None


class JobCompleted(JobEvent, frozen=True):
    """The job ended well; `status` is `partial` for a bulk job with unresolved failed rows."""


class JobFailed(JobEvent, frozen=True):
    """The job is out of attempts or crashes."""

    error: str = ""
    reason: str = ""


class JobRetrying(JobEvent, frozen=True):
    """An attempt failed, or the job snoozes; it runs again at `due_at`, ms since the epoch."""

    error: str = ""
    due_at: Instant = Instant(0)


class JobInterrupted(JobEvent, frozen=True):
    """The job went back to the queue, or waits paused, with no attempt counted."""


class JobCancelled(JobEvent, frozen=True):
    """The job was cancelled."""


class JobDiscarded(JobEvent, frozen=True):
    """The handler gave the job up."""

    reason: str = ""


class JobExpired(JobEvent, frozen=True):
    """The job was not started in time."""


class LeaseLost(JobEvent, frozen=True):
    """The worker that held the job died or stood still; somebody else finalizes the run."""

    worker: str = ""


class JobStatusUpdated(JobEvent, frozen=True):
    """What front ends follow: derived from every other event, never stored; `cause` names the event."""

    cause: str = ""


StoredEvent = (
    JobCreated
    | JobStarted
    | JobProgressed
    | JobCompleted
    | JobFailed
    | JobRetrying
    | JobInterrupted
    | JobCancelled
    | JobDiscarded
    | JobExpired
    | LeaseLost
)

Pick = Callable[[Sequence[JobEvent]], Sequence[int]]
"""Chooses events by their positions, rising."""

_Event = TypeVar("_Event", bound=JobEvent)


def event_of(
    kind: type[_Event],
    envelope: Envelope,
    status: Status,
    counters: Counters,
    attempt: int,
    at: Instant,
    *own: object,
) -> _Event:
    """An event of `kind` about a job; `own` are the fields that the kind adds, in their order."""
    return kind(
        envelope.id,
        envelope.type,
        envelope.kind,
        envelope.queue,
        status,
        counters.succeeded + counters.failed,
        counters.total,
        counters.succeeded,
        counters.failed,
        envelope.user_id,
        attempt,
        at,
        "",
        envelope.parent_id,
        *own,
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[StoredEvent])


def encode_events(events: Sequence[JobEvent]) -> bytes:
    """A batch of events in its stored form, in order."""
    return _encoder.encode(events)


def decode_events(body: bytes | str, event_ids: Iterable[str]) -> list[StoredEvent]:
    """The events of a stored batch, in order, each with its id."""
    return [
        msgspec.structs.replace(event, event_id=event_id)
        for event, event_id in zip(_decoder.decode(body), event_ids, strict=False)
    ]


def pick_events(body: bytes, pick: Pick | None, event_id: Callable[[int], str]) -> list[StoredEvent]:
    """Those events of a stored batch that `pick` picks, all without it, each with the id of its position."""
    events = _decoder.decode(body)
    picked = range(len(events)) if pick is None else pick(events)
    return [msgspec.structs.replace(events[index], event_id=event_id(index)) for index in picked]


def status_updated(event: JobEvent) -> JobStatusUpdated:
    """The derived event for front ends."""
    return JobStatusUpdated(
        event.job_id,
        event.type,
        event.kind,
        event.queue,
        event.status,
        event.processed,
        event.total,
        event.succeeded,
        event.failed,
        event.user_id,
        event.attempt,
        event.at,
        event.event_id,
        event.parent_id,
        type(event).__name__,
    )


TERMINAL_EVENTS = (JobCompleted, JobFailed, JobCancelled, JobDiscarded, JobExpired)
