"""Slots: never more runs than there are, and those that wait begin in their order."""

import asyncio
from collections.abc import Sequence

from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.runtime.pace import Pace
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.runtime.slots import Slots
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.clock import ManualClock
from tests.unit.runs import run


class Group:
    """Slots whose runs end when they are told."""

    def __init__(self, limit: int) -> None:
        self.clock = ManualClock()
        self.began: list[str] = []
        self.back: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.slots = Slots(self.clock, limit, run=self._run, hand_back=self._hand_back)

    async def _run(self, run: Run) -> None:
        name = run.claim.envelope.id
        self.began.append(name)
        self.ends[name] = asyncio.Event()
        try:
            await self.ends[name].wait()
        finally:
            self.slots.release(run)

    def _hand_back(self, run: Run) -> None:
        self.back.append(run.claim.envelope.id)

    def start(self, name: str, *, ahead: bool = False) -> Run:
        found = run(name)
        found.was_ahead = ahead
        found.leased_at = self.clock.monotonic()
        self.slots.start(found)
        return found

    async def end(self, names: Sequence[str]) -> None:
        for name in names:
            self.ends[name].set()
        await self.clock.rest()


@settings(deadline=None, max_examples=60)
@given(limit=st.integers(1, 5), picks=st.lists(st.integers(0, 4), max_size=20))
async def test_no_more_run_than_the_limit_and_those_that_wait_begin_in_order(
    limit: int, picks: list[int]
) -> None:
    group = Group(limit)
    names = [f"j{number}" for number in range(len(picks))]
    for name in names:
        group.start(name)
    await group.clock.rest()
    ended: list[str] = []
    for pick in picks:
        under_way = [name for name in group.began if name not in ended]
        assert len(under_way) == len(group.slots.runs) <= limit
        assert group.slots.free == limit - len(under_way)
        name = under_way[pick % len(under_way)]
        ended.append(name)
        await group.end([name])

    assert group.began == names
    assert (group.slots.runs, len(group.slots.ahead), group.back) == ({}, 0, [])


async def test_a_slot_is_free_when_its_run_has_ended_and_a_release_may_be_repeated() -> None:
    group = Group(2)
    found = group.start("j1")
    group.start("j2")
    await group.clock.rest()
    assert group.slots.free == 0
    await group.end(["j1"])
    group.slots.release(found)
    group.slots.release(found)

    assert group.slots.free == 1
    await group.end(["j2"])


async def test_a_run_that_was_given_up_frees_its_slot_and_is_kept_until_it_ends() -> None:
    group = Group(1)
    found = group.start("stubborn")
    group.start("next")
    await group.clock.rest()
    group.slots.give_up(found)
    await group.clock.rest()

    assert group.began == ["stubborn", "next"]
    assert group.slots.stuck == 1
    assert len(group.slots._abandoned) == 1
    await group.end(["stubborn", "next"])
    assert len(group.slots._abandoned) == 0


async def test_whoever_waits_for_the_last_run_is_woken_by_its_end_or_by_the_clock() -> None:
    group = Group(2)
    assert await group.slots.wait_empty(0)
    for name in ("j1", "j2"):
        group.start(name)
    await group.clock.rest()
    answers: list[bool] = []

    async def wait(seconds: float | None) -> None:
        answers.append(await group.slots.wait_empty(seconds))

    waiting = start(wait(5.0), "wait")
    await group.clock.advance(5.1)
    assert answers == [False]
    waiting = start(wait(None), "wait")
    await group.end(["j1"])
    assert not waiting.done()
    await group.end(["j2"])

    assert waiting.done()
    assert answers == [False, True]


async def test_those_that_wait_longer_than_a_quarter_of_a_second_go_back_together() -> None:
    group = Group(1)
    group.start("long")
    for name in ("a", "b"):
        group.start(name, ahead=True)
    await group.clock.advance(0.24)
    assert group.back == []
    await group.clock.advance(0.02)

    assert group.back == ["a", "b"]
    assert len(group.slots.ahead) == 0
    await group.end(["long"])


async def test_those_that_were_claimed_ahead_are_told_when_they_begin() -> None:
    group = Group(1)
    group.start("first")
    group.start("ahead", ahead=True)
    await group.clock.rest()
    begun: list[str] = []

    async def listen() -> None:
        await group.slots.wait_begun()
        begun.extend(found.claim.envelope.id for found in group.slots.take_begun())

    listening = start(listen(), "listen")
    await checkpoint()
    assert not listening.done()
    await group.end(["first"])

    assert begun == ["ahead"]
    await group.end(["ahead"])


async def test_nothing_is_claimed_ahead_of_long_jobs_and_at_most_500_of_short_ones() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    assert pace.allowance() == 0
    for _ in range(100):
        await clock.advance(0.1)
        pace.count()
        assert pace.allowance() == 0
    for _ in range(100):
        await clock.advance(0.01)
        for _ in range(1_000):
            pace.count()
        pace.allowance()
    assert pace.allowance() == 500
    await clock.advance(10.0)

    assert pace.allowance() == 0
