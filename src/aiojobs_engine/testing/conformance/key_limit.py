"""Limits by key, and fair turns: which of the jobs of several keys come first."""

import asyncio
from typing import Any

from aiojobs_engine.core.gates import Limit
from aiojobs_engine.core.rates import RateLimit
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

BOTH = ("work", "bulk")


class KeyLimitContract(Contract):
    """Limits by key."""

    async def test_each_key_has_slots_of_its_own(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=2)
        await stage.put(*[f"a{n}" for n in range(200)], limit_key="a")
        await stage.put(*[f"b{n}" for n in range(3)], limit_key="b")
        await stage.put("free")

        assert _ids(await stage.take()) == ["a0", "a1", "b0", "b1", "free"]
        assert await stage.take() == []

    async def test_a_slot_of_a_key_is_free_in_the_write_that_ends_a_run(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put(*"abcdef", limit_key="k")
        for status in (Status.COMPLETED, Status.FAILED, Status.DISCARDED, Status.CANCELLED, Status.RETRYING):
            (claim,) = await stage.take()
            await stage.settle(claim, status, due_at=stage.after(60) if status is Status.RETRYING else None)

        assert _ids(await stage.take()) == ["f"]
        assert await stage.take() == []

    async def test_a_job_that_comes_back_waits_for_its_key(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("a", "b", limit_key="k")
        claim = await stage.take_one()
        await stage.settle(claim, Status.RETRYING, due_at=stage.after(1))
        second = await stage.take_one()
        assert second.envelope.id == "b"
        await stage.clock.advance(1)
        await stage.backend.promote(10)

        assert await stage.take() == []
        await stage.settle(second, Status.PENDING)

        assert _ids(await stage.take()) == ["a"]

    async def test_higher_priority_goes_first_within_a_key(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("low", limit_key="k")
        await stage.put("high", limit_key="k", priority=5)

        assert _ids(await stage.take()) == ["high"]

    async def test_what_leaves_the_queue_makes_room(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("a", limit_key="k", expires_at=stage.after(1))
        await stage.put("b", "c", "d", "e", limit_key="k")
        await stage.backend.cancel(["b"])
        await stage.backend.pause(["c"])
        await stage.backend.delete(["d"])
        await stage.clock.advance(1)
        await stage.backend.promote(10)

        assert _ids(await stage.take()) == ["e"]

    async def test_what_is_paused_and_resumed_or_retried_by_hand_is_limited(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("a", "b", limit_key="k")
        await stage.backend.pause(["a"])
        claim = await stage.take_one()
        await stage.backend.resume(["a"])
        assert await stage.take() == []
        await stage.settle(claim, Status.FAILED)
        running = await stage.take_one()
        await stage.backend.retry(["b"])

        assert running.envelope.id == "a"
        assert await stage.take() == []

    async def test_each_key_has_a_rate_of_its_own(self, stage: Stage) -> None:
        await _by_key(stage, rate=RateLimit(2, 1_000))
        await stage.put("a0", "a1", "a2", limit_key="a")
        await stage.put("b0", limit_key="b", cost=2)
        await stage.put("b1", limit_key="b")

        assert _ids(await stage.take()) == ["a0", "a1", "b0"]
        await stage.clock.advance(0.499)
        assert await stage.take() == []
        await stage.clock.advance(0.001)

        assert _ids(await stage.take()) == ["a2", "b1"]

    async def test_who_waits_is_told_when_a_key_lets_the_next_through(self, stage: Stage) -> None:
        await _by_key(stage, rate=RateLimit(1, 600))
        await stage.put("a", "b", limit_key="k")
        await stage.take()
        waiting = asyncio.ensure_future(stage.wait(30))

        assert not await stage.ends_within(waiting, 0.5)
        assert await stage.ends_within(waiting, 0.2)
        assert _ids(await stage.take()) == ["b"]

    async def test_who_waits_is_told_when_a_key_has_a_slot(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("a", "b", limit_key="k")
        claim = await stage.take_one()
        waiting = asyncio.ensure_future(stage.wait(30))
        assert not await stage.ends_within(waiting, 2)

        await stage.settle(claim, Status.COMPLETED)

        assert await stage.ends_within(waiting, 1.5)

    async def test_a_limit_holds_for_jobs_that_were_there_before(self, stage: Stage) -> None:
        await stage.put(*[f"a{n}" for n in range(20)], limit_key="a")
        await stage.put("b0", "b1", limit_key="b")
        running = await stage.take(2)
        assert _ids(running) == ["a0", "a1"]

        await _by_key(stage, concurrency=1)
        assert _ids(await stage.take()) == ["b0"]
        await stage.settle(running[0], Status.COMPLETED)
        assert await stage.take() == []
        await stage.settle(running[1], Status.COMPLETED)
        assert _ids(await stage.take()) == ["a2"]

        await _by_key(stage, concurrency=3)
        assert _ids(await stage.take()) == ["a3", "a4", "b1"]
        await _by_key(stage)
        assert len(await stage.take()) == 15

    async def test_keys_and_queues_limit_together(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.limit(concurrency=2)
        for key in "abc":
            await stage.put(f"{key}0", f"{key}1", limit_key=key)

        first = await stage.take()
        assert _ids(first) == ["a0", "b0"]
        await stage.settle(first[0], Status.COMPLETED)

        assert _ids(await stage.take()) == ["a1"]

    async def test_keys_may_be_any_text(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        keys = ["a/b", "a/", "", "é/ö", "%_*'"]
        for number, key in enumerate(keys):
            await stage.put(f"j{number}", f"k{number}", limit_key=key)

        assert _ids(await stage.take()) == [f"j{number}" for number in range(len(keys))]

    async def test_jobs_that_are_held_back_have_their_place_in_the_queue(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("a0", "a1", limit_key="a")
        await stage.put("b0", "b1", limit_key="b")

        outlooks = await stage.backend.outlooks(["a0", "a1", "b0", "b1"])

        assert [outlook and outlook.ahead for outlook in outlooks] == [0, 1, 2, 3]

    async def test_chunks_are_limited_by_the_key_they_have(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        bulk = await stage.start("bulk", type="bulk", kind="import", strategy="batch")
        children = tuple(stage.chunk("bulk", n, limit_key="k") for n in (1, 2))
        await stage.record(bulk, children=children)
        await stage.settle(bulk, Status.WAITING)

        (first,) = await stage.take()
        await stage.settle(first, Status.COMPLETED)

        (second,) = await stage.take()
        assert [first.envelope.id, second.envelope.id] == ["bulk:1", "bulk:2"]


class FairContract(Contract):
    """Fair turns."""

    async def test_keys_take_turns(self, stage: Stage) -> None:
        await stage.put(*[f"a{n}" for n in range(10)], fair_key="a")
        await stage.put(*[f"b{n}" for n in range(3)], fair_key="b")
        await stage.put("c0", fair_key="c")

        assert _ids(await stage.take(8)) == ["a0", "b0", "c0", "a1", "b1", "a2", "b2", "a3"]

    async def test_a_key_has_turns_by_its_weight(self, stage: Stage) -> None:
        await stage.put(*[f"a{n}" for n in range(9)], fair_key="a")
        await stage.put(*[f"b{n}" for n in range(9)], fair_key="b", fair_weight=2.0)

        taken = _ids(await stage.take(9))

        assert sum(name.startswith("b") for name in taken) == 6

    async def test_who_comes_later_waits_for_one_job_of_each_other_key(self, stage: Stage) -> None:
        await stage.put(*[f"a{n}" for n in range(300)], fair_key="a")
        await stage.put(*[f"b{n}" for n in range(300)], fair_key="b")
        await stage.take(100)

        await stage.put("late", fair_key="c")

        assert "late" in _ids(await stage.take(3))

    async def test_a_key_that_always_has_one_job_does_not_shut_out_others(self, stage: Stage) -> None:
        await stage.put(*[f"a{n}" for n in range(5)], fair_key="a")
        taken: list[str] = []
        for number in range(10):
            await stage.put(f"b{number}", fair_key="b")
            taken += _ids(await stage.take(1))

        assert sum(name.startswith("a") for name in taken) == 5

    async def test_priority_goes_before_turns(self, stage: Stage) -> None:
        await stage.put("a0", "a1", fair_key="a")
        await stage.put("b0", fair_key="b", priority=-1)
        await stage.put("a2", fair_key="a", priority=1)

        assert _ids(await stage.take()) == ["a2", "a0", "a1", "b0"]

    async def test_a_job_for_later_gets_its_turn_when_it_is_due(self, stage: Stage) -> None:
        await stage.put(*[f"s{n}" for n in range(50)], fair_key="a", scheduled_at=stage.after(60))
        await stage.put("b0", "b1", fair_key="b")
        await stage.put("a0", fair_key="a")
        assert _ids(await stage.take()) == ["b0", "a0", "b1"]
        await stage.put("b2", "b3", fair_key="b")
        await stage.clock.advance(60)
        await stage.backend.promote(100)

        assert _ids(await stage.take(4)) == ["s0", "s1", "b2", "s2"]

    async def test_a_job_keeps_its_turn(self, stage: Stage) -> None:
        await stage.put("a0", "a1", fair_key="a")
        await stage.put("b0", "b1", fair_key="b")
        claim = await stage.take_one()
        await stage.settle(claim, Status.PENDING)

        assert _ids(await stage.take()) == ["a0", "b0", "a1", "b1"]

    async def test_turns_go_across_types(self, stage: Stage) -> None:
        await stage.put("a0", "a1", fair_key="a")
        await stage.put("b0", "b1", fair_key="b", type="bulk")

        assert _ids(await stage.take()) == ["a0", "b0", "a1", "b1"]

    async def test_turns_and_limits_by_key_go_together(self, stage: Stage) -> None:
        await _by_key(stage, concurrency=1)
        await stage.put("a0", "a1", fair_key="a", limit_key="a")
        await stage.put("b0", "b1", fair_key="b", limit_key="b")

        first = await stage.take()
        assert _ids(first) == ["a0", "b0"]
        await stage.settle(first[1], Status.COMPLETED)

        assert _ids(await stage.take()) == ["b1"]

    async def test_jobs_without_a_key_keep_their_order(self, stage: Stage) -> None:
        await stage.put("p0", "p1")
        await stage.put("a0", "a1", fair_key="a")
        await stage.put("p2")

        taken = _ids(await stage.take())

        assert [name for name in taken if name.startswith("p")] == ["p0", "p1", "p2"]
        assert taken[:2] == ["p0", "p1"]


def _ids(claims: list[Any]) -> list[str]:
    return [claim.envelope.id for claim in claims]


async def _by_key(stage: Stage, **fields: Any) -> None:
    await stage.backend.set_limits(
        [Limit(queue="default", type=name, by_key=True, **fields) for name in BOTH]
    )
