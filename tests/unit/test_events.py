import msgspec
import pytest

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import (
    TERMINAL_EVENTS,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDiscarded,
    JobEvent,
    JobExpired,
    JobFailed,
    JobInterrupted,
    JobProgressed,
    JobRetrying,
    JobStarted,
    JobStatusUpdated,
    LeaseLost,
    decode_events,
    encode_events,
    event_of,
    status_updated,
)
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters

ENVELOPE = Envelope(
    id="a",
    type="t",
    payload=msgspec.Raw(b"{}"),
    created_at=Instant(1),
    kind="import",
    queue="q",
    user_id="u7",
)
OWN: list[tuple[type[JobEvent], tuple[object, ...]]] = [
    (JobCreated, ()),
    (JobStarted, ("w1",)),
    (JobProgressed, ("half",)),
    (JobCompleted, ()),
    (JobFailed, ("it's\n☃", "max_attempts")),
    (JobRetrying, ("no", Instant(77))),
    (JobInterrupted, ()),
    (JobCancelled, ()),
    (JobDiscarded, ("because",)),
    (JobExpired, ()),
    (LeaseLost, ("w1",)),
]


def _event(kind: type[JobEvent], *own: object) -> JobEvent:
    return event_of(kind, ENVELOPE, Status.PENDING, Counters(3, 1, 2, 10), 2, Instant(5), *own)


def test_an_event_tells_its_job_and_where_it_stood() -> None:
    event = _event(JobFailed, "no", "rows")

    assert (event.job_id, event.type, event.kind, event.queue, event.user_id) == (
        "a",
        "t",
        "import",
        "q",
        "u7",
    )
    assert (event.processed, event.total, event.succeeded, event.failed) == (4, 10, 3, 1)
    assert (event.status, event.attempt, event.at, event.event_id) == (Status.PENDING, 2, 5, "")


def test_all_kinds_survive_their_encoding_and_get_their_ids() -> None:
    events = [_event(kind, *own) for kind, own in OWN]
    ids = [f"id-{number}" for number in range(len(events))]

    decoded = decode_events(encode_events(events), ids)

    assert [msgspec.structs.replace(event, event_id="") for event in decoded] == events
    assert [event.cursor for event in decoded] == ids


def test_events_that_lack_the_newest_fields_can_still_be_read() -> None:
    body = b'[["JobStarted","a","t","job","q","processing",0,0,0,0,null,1,5]]'

    (event,) = decode_events(body, ["1"])

    assert isinstance(event, JobStarted)
    assert event.worker == ""


def test_events_of_a_later_release_with_more_fields_can_be_read() -> None:
    body = b'[["JobCreated","a","t","job","q","pending",0,0,0,0,null,0,5,"",null,{"new":1}]]'

    (event,) = decode_events(body, ["1"])

    assert isinstance(event, JobCreated)


@pytest.mark.parametrize("kind, own", OWN)
def test_front_ends_get_one_form_for_all_kinds(kind: type[JobEvent], own: tuple[object, ...]) -> None:
    event = msgspec.structs.replace(_event(kind, *own), event_id="7")

    derived = status_updated(event)

    assert (type(derived), derived.cause, derived.cursor) == (JobStatusUpdated, kind.__name__, "7")
    for name in JobEvent.__struct_fields__:
        assert getattr(derived, name) == getattr(event, name)


def test_there_is_a_terminal_event_for_each_final_status() -> None:
    assert len(TERMINAL_EVENTS) == len(FINAL - {Status.PARTIAL})
