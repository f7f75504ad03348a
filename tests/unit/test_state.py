from collections.abc import Collection

import pytest

from aiojobs_engine.core.state import (
    FINAL,
    QUEUED,
    STORE_DECIDES,
    TRANSITIONS,
    Status,
    Trigger,
    allowed,
    parent_status,
)

each_status = pytest.mark.parametrize("status", list(Status), ids=str)


def _reachable(start: Status, *, without: Collection[Trigger] = ()) -> set[Status]:
    found, edge = {start}, [start]
    while edge:
        here = edge.pop()
        steps = {end for (at, trigger), end in TRANSITIONS.items() if at is here and trigger not in without}
        edge += steps - found
        found |= steps
    return found


@each_status
def test_every_status_can_still_end(status: Status) -> None:
    assert _reachable(status) & FINAL


@each_status
def test_every_status_can_be_reached(status: Status) -> None:
    assert status in _reachable(Status.SCHEDULED)


@pytest.mark.parametrize("status", sorted(FINAL), ids=str)
def test_a_final_status_is_left_by_hand_only(status: Status) -> None:
    assert {trigger for (start, trigger) in TRANSITIONS if start is status} <= {
        Trigger.RETRY,
        Trigger.REVIVE,
        Trigger.SPAWN,
    }


@each_status
def test_a_job_can_be_cancelled_until_it_has_ended(status: Status) -> None:
    assert (status in allowed(Trigger.CANCEL)) == (status not in FINAL)


@pytest.mark.parametrize("trigger", list(Trigger), ids=str)
def test_a_trigger_leads_to_one_status_from_wherever_it_starts(trigger: Trigger) -> None:
    assert len({end for (_, named), end in TRANSITIONS.items() if named is trigger}) == 1


def test_a_lease_is_taken_by_a_claim_alone() -> None:
    ways = {trigger for (_, trigger), end in TRANSITIONS.items() if end is Status.PROCESSING}

    assert ways == {Trigger.CLAIM}


def test_what_is_queued_can_expire_and_what_runs_or_waits_can_not() -> None:
    assert allowed(Trigger.EXPIRE) == QUEUED


def test_a_completed_job_stays_completed() -> None:
    assert _reachable(Status.COMPLETED) == {Status.COMPLETED}


def test_what_the_store_decides_stands_in_the_table() -> None:
    assert set(TRANSITIONS) >= STORE_DECIDES


def test_nothing_leads_back_to_waiting_but_new_chunks_and_a_former_that_starts_anew() -> None:
    assert Status.WAITING not in _reachable(Status.SCHEDULED, without={Trigger.SPAWN, Trigger.REVIVE})


@pytest.mark.parametrize(
    "succeeded, failed, status",
    [
        (0, 0, Status.COMPLETED),
        (5, 0, Status.COMPLETED),
        (5, 1, Status.PARTIAL),
        (1, 9, Status.PARTIAL),
        (0, 1, Status.FAILED),
    ],
)
def test_a_parent_ends_by_what_became_of_its_rows(succeeded: int, failed: int, status: Status) -> None:
    assert parent_status(succeeded, failed) is status
