"""What follows an outcome: attempts counted in one place, the next status by the table, one event each."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.events import JobCancelled, JobCompleted, JobDiscarded, JobFailed, JobRetrying
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.limits import ERROR_CHARS, RESULT_BYTES
from aiojobs_engine.core.masking import masker_of
from aiojobs_engine.core.outcome import (
    Cancelled,
    Discarded,
    Failed,
    Interrupted,
    Outcome,
    Paused,
    RowsDone,
    Snoozed,
    Spawned,
    Succeeded,
    WorkerLost,
)
from aiojobs_engine.core.retry import MAX_DELAY, Retry, RetrySpec
from aiojobs_engine.core.state import FINAL, TRANSITIONS, Status
from aiojobs_engine.core.status import Counters, RowFault
from aiojobs_engine.ports.backend import Settlement
from aiojobs_engine.runtime.executor import DeadlineExceeded
from aiojobs_engine.runtime.settlement import Decider, error_info
from tests.unit.runs import run

NOW = Instant(1_000_000)
DECIDER = Decider(Random(1), RESULT_BYTES, masker_of())
FAULT = RowFault(row_number=1, row_key=None, payload={}, field=None, message="wrong")

OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Succeeded, st.none() | st.integers() | st.text() | st.floats() | st.just(object())),
    st.builds(
        Failed,
        st.sampled_from([ValueError("x"), KeyError(), SystemExit(1), DeadlineExceeded()]),
        delay=st.none() | st.floats(0, MAX_DELAY),
        permanent=st.none() | st.just("payload"),
    ),
    st.builds(Snoozed, st.floats(0, MAX_DELAY)),
    st.builds(Discarded, st.text()),
    st.builds(WorkerLost, st.text()),
    st.builds(RowsDone, succeeded=st.integers(0, 10), faults=st.lists(st.just(FAULT), max_size=3).map(tuple)),
    st.sampled_from([Cancelled(), Paused(), Interrupted(), Spawned()]),
)


def decide(outcome: Outcome, **fields: Any) -> Settlement:
    return DECIDER.decide(run(**fields), outcome, NOW)


@settings(deadline=None, max_examples=300)
@given(
    outcome=OUTCOMES,
    attempts=st.integers(0, 20),
    crashes=st.integers(0, 5),
    total=st.integers(0, 50),
)
def test_every_outcome_leads_where_the_table_allows_and_tells_it(
    outcome: Outcome, attempts: int, crashes: int, total: int
) -> None:
    attempts = max(attempts, crashes)
    counters = Counters(total=total)
    settlement = decide(outcome, attempts=attempts, crashes=crashes, counters=counters)

    assert settlement.status in {to for (status, _), to in TRANSITIONS.items() if status is Status.PROCESSING}
    assert settlement.event.status is settlement.status
    assert settlement.event.attempt == attempts + 1
    assert settlement.attempts - attempts in (0, 1)
    assert settlement.crashes - crashes == isinstance(outcome, WorkerLost)
    assert (settlement.due_at is not None) is (settlement.status in (Status.RETRYING, Status.SCHEDULED))
    assert (settlement.result is None) or settlement.status is Status.COMPLETED
    counted = settlement.counters
    if counted is not None:
        assert counted.processed == counted.succeeded + counted.failed <= counted.total
    msgspec.json.encode(settlement)


@pytest.mark.parametrize("outcome", [Cancelled(), Paused(), Interrupted(), Snoozed(5.0), Spawned()])
def test_what_is_not_the_handlers_failure_or_end_costs_no_attempt(outcome: Outcome) -> None:
    settlement = decide(outcome, attempts=2, crashes=1)

    assert (settlement.attempts - (outcome == Spawned()), settlement.crashes) == (2, 1)


def test_a_dead_worker_is_a_crash_and_no_failure_of_the_policy() -> None:
    none = {"retry": Retry.none()}
    lost = decide(WorkerLost(), options=none)
    assert (lost.status, lost.attempts, lost.crashes, lost.due_at) == (Status.PENDING, 1, 1, None)
    first = decide(Failed(ValueError()), attempts=4, crashes=4, options={"retry": Retry.fixed(2, 1)})
    assert first.status is Status.RETRYING
    last = decide(Failed(ValueError()), attempts=5, crashes=4, options={"retry": Retry.fixed(2, 1)})

    assert last.status is Status.FAILED
    assert last.error is not None
    assert last.error.reason == "max_attempts"


@pytest.mark.parametrize(
    "most, crashes, status", [(1, 0, Status.FAILED), (5, 3, Status.PENDING), (5, 4, Status.FAILED)]
)
def test_a_job_is_buried_with_its_last_crash_and_not_before(most: int, crashes: int, status: Status) -> None:
    settlement = decide(WorkerLost(), attempts=crashes, crashes=crashes, options={"max_crashes": most})

    assert settlement.status is status
    assert settlement.error is not None
    assert settlement.error.reason == ("crashed_worker" if status is Status.FAILED else None)


def test_a_crash_of_a_job_that_was_to_be_cancelled_or_had_not_begun_is_none() -> None:
    cancelled = decide(WorkerLost(), cancelling=True, crashes=4, options={"max_crashes": 5})
    ahead = decide(WorkerLost(), has_started=False, crashes=4, attempts=4, options={"max_crashes": 5})

    assert (cancelled.status, type(cancelled.event)) == (Status.CANCELLED, JobCancelled)
    assert (ahead.status, ahead.attempts, ahead.crashes) == (Status.PENDING, 4, 4)


@given(seconds=st.floats(0, 1e6))
def test_a_delay_that_the_handler_asked_for_wins_over_the_policy(seconds: float) -> None:
    settlement = decide(Failed(ValueError(), delay=seconds), options={"retry": Retry.fixed(3, 60)})

    assert settlement.status is Status.RETRYING
    assert settlement.due_at == NOW + int(seconds * 1000)


def test_a_policy_of_the_call_wins_over_that_of_the_type() -> None:
    envelope = {"retry": RetrySpec(policy="fixed", max_attempts=9, base=7, jitter=0, cap=None)}
    settlement = decide(Failed(ValueError()), envelope=envelope, options={"retry": Retry.none()})

    assert (settlement.status, settlement.due_at) == (Status.RETRYING, NOW + 7_000)


def test_a_payload_that_does_not_fit_is_never_tried_again() -> None:
    settlement = decide(Failed(PayloadError("x"), permanent="payload"), options={"retry": Retry.fixed(9, 0)})

    assert (settlement.status, settlement.attempts) == (Status.FAILED, 1)
    assert settlement.error is not None
    assert settlement.error.reason == "payload"


@pytest.mark.parametrize("ttl, until", [(60.0, NOW + 60_000), (0.0, NOW), (None, NOW + 3_600_000)])
def test_a_result_is_kept_as_long_as_the_call_or_else_the_type_says(ttl: float | None, until: int) -> None:
    settlement = decide(Succeeded(42), envelope={"result_ttl": ttl})

    assert (settlement.result, settlement.result_until, settlement.error) == (b"42", until, None)


def test_a_result_that_can_not_be_kept_is_an_error_of_a_job_that_is_done() -> None:
    settlement = decide(Succeeded(object()))

    assert (settlement.status, settlement.attempts, settlement.result) == (Status.COMPLETED, 1, None)
    assert settlement.error is not None
    assert settlement.error.type == "result_error"
    assert isinstance(settlement.event, JobCompleted)


@pytest.mark.parametrize(
    "succeeded, faults, parent_id, status",
    [
        (3, 0, None, Status.COMPLETED),
        (3, 1, None, Status.PARTIAL),
        (0, 1, None, Status.FAILED),
        (0, 0, None, Status.COMPLETED),
        (3, 0, "bulk", Status.COMPLETED),
        (0, 1, "bulk", Status.PARTIAL),
    ],
)
def test_rows_decide_where_a_bulk_run_ends(
    succeeded: int, faults: int, parent_id: str | None, status: Status
) -> None:
    outcome = RowsDone(succeeded=succeeded, faults=(FAULT,) * faults)
    settlement = decide(outcome, envelope={"parent_id": parent_id, "kind": "import"})

    assert (settlement.status, settlement.parent_id) == (status, parent_id)
    assert settlement.counters == Counters(succeeded, faults, 0, succeeded + faults)
    assert len(settlement.faults) == faults


def test_the_text_of_a_discard_is_kept_within_its_bound() -> None:
    settlement = decide(Discarded("\ud800" + "x" * 10_000_000))

    assert isinstance(settlement.event, JobDiscarded)
    assert settlement.error is not None
    assert settlement.error.message.startswith("\\ud800x")
    assert len(settlement.error.message) <= ERROR_CHARS


def test_an_outcome_that_can_not_be_told_ends_the_job_once_and_for_all() -> None:
    settlement = DECIDER.internal_failure(run(attempts=3), RuntimeError("broken"), NOW)

    assert (settlement.status, settlement.attempts) == (Status.FAILED, 4)
    assert isinstance(settlement.event, JobFailed)
    assert settlement.error is not None
    assert settlement.error.reason == "internal_error"


def test_a_timeout_is_called_so_and_other_errors_by_their_class() -> None:
    assert error_info(DeadlineExceeded("late"), masker_of()).type == "timeout"
    assert error_info(ValueError("x"), masker_of()).type == "ValueError"
    assert error_info(PayloadError("x"), masker_of()).type == "aiojobs_engine.core.errors.PayloadError"


@given(text=st.text(max_size=50))
def test_any_text_of_an_error_is_storable(text: str) -> None:
    info = error_info(ValueError(text), masker_of())

    assert msgspec.json.decode(msgspec.json.encode(info)) == {
        "type": "ValueError",
        "message": info.message,
        "traceback": info.traceback,
    }


def test_only_a_job_that_is_to_run_again_is_due_and_none_of_the_final_ones() -> None:
    later = decide(Failed(ValueError()), options={"retry": Retry.exponential(3, 10, jitter=0)})
    snoozed = decide(Snoozed(5))

    assert (later.status, later.due_at, type(later.event)) == (Status.RETRYING, NOW + 10_000, JobRetrying)
    assert (snoozed.status, snoozed.due_at) == (Status.SCHEDULED, NOW + 5_000)
    assert decide(Succeeded()).status in FINAL
