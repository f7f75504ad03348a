"""Deadlines: at their time, behind one timer, twice and then never again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.runtime.deadlines import Deadlines
from aiojobs_engine.runtime.run import Run, Stop
from aiojobs_engine.testing.clock import ManualClock
from tests.unit.runs import run


class Watched:
    """Deadlines, and when each run was told and given up."""

    def __init__(self, grace: float = 2.0) -> None:
        self.clock = ManualClock()
        self.given_up: list[tuple[str, float]] = []
        self.deadlines = Deadlines(self.clock, grace, self._give_up)
        self.runs: dict[str, Run] = {}

    def _give_up(self, run: Run) -> None:
        self.given_up.append((run.claim.envelope.id, self.clock.monotonic()))

    def add(self, name: str, seconds: float) -> Run:
        found = self.runs.setdefault(name, run(name))
        self.deadlines.add(found, seconds)
        return found


SECONDS = st.floats(0, 20, allow_nan=False)


@settings(deadline=None, max_examples=50)
@given(delays=st.lists(SECONDS, min_size=1, max_size=20), step=st.floats(0.1, 10))
async def test_no_run_is_told_before_its_deadline_nor_more_than_10_ms_after_it(
    delays: list[float], step: float
) -> None:
    watched = Watched(grace=1_000_000)
    runs = [watched.add(str(number), delay) for number, delay in enumerate(delays)]
    while watched.clock.monotonic() <= 20.1:
        now = watched.clock.monotonic()
        for found, delay in zip(runs, delays, strict=True):
            assert (found.warnings == 0) or delay <= now
            assert (found.warnings == 1) or now <= delay + 0.0101
        await watched.clock.advance(step)

    assert {found.warnings for found in runs} == {1}


async def test_a_run_that_goes_on_is_told_twice_and_given_up_once() -> None:
    watched = Watched(grace=2.0)
    found = watched.add("stubborn", 5.0)
    told: list[float] = []
    for _ in range(3000):
        before = found.warnings
        await watched.clock.advance(0.01)
        if found.warnings > before:
            told.append(round(watched.clock.monotonic(), 1))

    assert told == [5.0, 7.0]
    assert [(name, round(at, 1)) for name, at in watched.given_up] == [("stubborn", 9.0)]
    assert found.stop is Stop.TIMEOUT


async def test_the_newest_deadline_of_a_run_counts() -> None:
    watched = Watched()
    sooner, later = watched.add("sooner", 10.0), watched.add("later", 1.0)
    watched.add("sooner", 1.0)
    watched.add("later", 10.0)
    await watched.clock.advance(2.0)
    assert (sooner.warnings, later.warnings) == (1, 0)
    await watched.clock.advance(8.1)

    assert later.warnings == 1


async def test_a_run_that_was_discarded_is_never_told() -> None:
    watched = Watched()
    gone, stays = watched.add("gone", 1.0), watched.add("stays", 1.0)
    watched.deadlines.discard(gone)
    watched.deadlines.discard(gone)
    await watched.clock.advance(100.0)

    assert (gone.warnings, stays.warnings) == (0, 2)
    assert gone.deadline == 0


async def test_a_reason_stands_until_the_lease_is_lost() -> None:
    watched = Watched()
    found = run("found")
    watched.deadlines.end(found, Stop.CANCELLED)
    watched.deadlines.end(found, Stop.SHUTDOWN)
    reasons = [found.stop]
    watched.deadlines.end(found, Stop.LOST)

    assert [*reasons, found.stop] == [Stop.CANCELLED, Stop.LOST]


async def test_a_hundred_runs_of_one_moment_share_a_timer_and_fast_ones_leave_nothing() -> None:
    watched = Watched()
    runs = [watched.add(str(number), 300.0) for number in range(100)]
    assert len(watched.clock._timers) == 1
    for found in runs:
        watched.deadlines.discard(found)
    await watched.clock.advance(301.0)

    assert watched.clock._next_timer() is None
    assert (watched.deadlines._buckets, watched.deadlines._order) == ({}, [])


async def test_closed_deadlines_tell_nobody() -> None:
    watched = Watched()
    found = watched.add("found", 1.0)
    watched.deadlines.close()
    await watched.clock.advance(10.0)

    assert found.warnings == 0
    assert watched.clock._next_timer() is None


@pytest.mark.parametrize("seconds", [1e9, 2.0**40])
async def test_a_deadline_in_the_far_future_is_no_trouble(seconds: float) -> None:
    watched = Watched()
    far, near = watched.add("far", seconds), watched.add("near", 1.0)
    await watched.clock.advance(1_000.0)

    assert (far.warnings, near.warnings) == (0, 2)
