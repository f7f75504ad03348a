"""Bounded queues: what finds no room, and what has to go."""

import asyncio

import pytest

from aiojobs_engine.core.events import JobDiscarded
from aiojobs_engine.core.gates import Overflow
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.uniqueness import UniqueKey
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class RoomContract(Contract):
    """`Limit.max_pending` in `Backend.enqueue`."""

    @pytest.mark.parametrize("overflow", ["refuse", "wait"])
    async def test_a_full_queue_refuses_the_last_of_a_batch(self, stage: Stage, overflow: Overflow) -> None:
        await stage.limit(max_pending=3, overflow=overflow)

        answers = await stage.put(*"abcde")

        assert [answer.refused for answer in answers] == [False] * 3 + [True] * 2
        assert [answer.created for answer in answers] == [True] * 3 + [False] * 2
        assert await stage.backend.get(["d"]) == [None]
        assert await stage.told("d") == []
        assert (await stage.put("f"))[0].refused

    async def test_there_is_room_again_when_a_job_is_claimed(self, stage: Stage) -> None:
        await stage.limit(max_pending=1)
        await stage.put("a")
        await stage.take_one()

        assert await stage.put("b") == [Enqueued("b", created=True)]

    async def test_a_repeated_dispatch_needs_no_room(self, stage: Stage) -> None:
        await stage.limit(max_pending=1)
        await stage.put("a")

        assert await stage.put("a") == [Enqueued("a", created=False)]

    async def test_a_unique_job_that_loses_needs_no_room(self, stage: Stage) -> None:
        await stage.limit(max_pending=1)
        await stage.put("a", unique=UniqueKey(key="k"))

        assert await stage.put("b", unique=UniqueKey(key="k")) == [Enqueued("a", created=False)]
        assert (await stage.put("c", unique=UniqueKey(key="other")))[0].refused
        await stage.take_one()
        assert (await stage.put("d", unique=UniqueKey(key="other")))[0].created

    async def test_other_queues_and_jobs_for_later_are_let_in(self, stage: Stage) -> None:
        await stage.limit(max_pending=1)
        await stage.put("a")

        (later,) = await stage.put("b", scheduled_at=stage.after(1))
        (other,) = await stage.put("c", queue="other")
        await stage.clock.advance(1)
        await stage.backend.promote(10)

        assert later.created
        assert other.created
        assert await stage.is_at("a", "b") == [Status.PENDING, Status.PENDING]

    async def test_the_newest_are_dropped(self, stage: Stage) -> None:
        await stage.limit(max_pending=2, overflow="drop_newest")
        answers = await stage.put(*"abcd")

        assert all(answer.created for answer in answers)
        assert await stage.is_at(*"abcd") == [Status.PENDING] * 2 + [Status.DISCARDED] * 2
        status = await stage.status("d")
        assert status.error is not None
        assert status.error.reason == "shed"
        told = [event for event in await stage.events() if isinstance(event, JobDiscarded)]
        assert [(event.job_id, event.reason) for event in told] == [("c", "shed"), ("d", "shed")]

    async def test_the_oldest_of_the_lowest_priority_are_dropped(self, stage: Stage) -> None:
        await stage.limit(max_pending=3, overflow="drop_oldest")
        await stage.put("high", priority=5)
        await stage.put("a", "b")

        await stage.put("c", "d")

        dropped, kept = [Status.DISCARDED] * 2, [Status.PENDING] * 3
        assert await stage.is_at("a", "b", "high", "c", "d") == dropped + kept

    async def test_jobs_with_turns_and_those_that_a_limit_holds_back_are_dropped_in_the_same_order(
        self, stage: Stage
    ) -> None:
        await stage.limit(max_pending=4, overflow="drop_oldest")
        await stage.limit(type="work", by_key=True, concurrency=1)
        await stage.put("a", fair_key="x")
        await stage.put("b", "c", limit_key="k")
        await stage.put("d", fair_key="y", fair_weight=10)

        await stage.put("e", "f", "g", fair_key="x")

        dropped, kept = [Status.DISCARDED] * 3, [Status.PENDING] * 4
        assert await stage.is_at(*"abcdefg") == dropped + kept
        assert (
            await stage.is_at(*[claim.envelope.id for claim in await stage.take()]) == [Status.PROCESSING] * 4
        )

    async def test_members_and_chunks_are_never_dropped(self, stage: Stage) -> None:
        await stage.plan("bulk", chunks=2)
        await stage.limit(max_pending=3, overflow="drop_oldest")

        await stage.put(*"abc")

        assert await stage.is_at("bulk:1", "bulk:2", *"abc") == [
            *[Status.PENDING] * 2,
            *[Status.DISCARDED] * 2,
            Status.PENDING,
        ]

    async def test_many_give_way_to_as_many(self, stage: Stage) -> None:
        await stage.limit(max_pending=250, overflow="drop_oldest")
        await stage.put(*[f"old{n:03}" for n in range(250)], priority=1)

        await stage.put(*[f"new{n:03}" for n in range(250)], priority=1)

        assert await stage.is_at("old000", "old249", "new000", "new249") == [
            *[Status.DISCARDED] * 2,
            *[Status.PENDING] * 2,
        ]
        assert await stage.backend.counts() == {
            ("default", Status.PENDING): 250,
            ("default", Status.DISCARDED): 250,
        }

    async def test_the_bound_of_the_desk_is_in_force_before_that_of_the_code(self, stage: Stage) -> None:
        await stage.limit(max_pending=1, origin="code")
        await stage.limit(max_pending=2)
        assert [answer.refused for answer in await stage.put(*"abc")] == [False, False, True]

        await stage.limit()
        assert (await stage.put("d"))[0].refused
        await stage.limit(origin="code")
        assert (await stage.put("e"))[0].created

    async def test_jobs_that_a_limit_holds_back_count(self, stage: Stage) -> None:
        await stage.limit(max_pending=2)
        await stage.limit(type="work", by_key=True, concurrency=1)

        answers = await stage.put(*"abc", limit_key="k")

        assert [answer.refused for answer in answers] == [False, False, True]

    async def test_of_many_callers_at_once_no_more_get_in_than_there_is_room(self, stage: Stage) -> None:
        await stage.limit(max_pending=7)

        answers = await asyncio.gather(*[stage.put(f"j{n}") for n in range(30)])

        assert sum(answer.created for (answer,) in answers) == 7
