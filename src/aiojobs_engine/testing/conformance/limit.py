"""Limits: met before a claim, so that what they hold back stays untouched."""

import asyncio
from typing import Any

from aiojobs_engine.core.rates import RateLimit
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

TEN_A_SECOND = RateLimit(10, 1_000)


class LimitContract(Contract):
    """Limits of queues and types in `Backend.claim`, and `FlowStore`."""

    async def test_no_more_jobs_of_a_queue_run_than_its_limit(self, stage: Stage) -> None:
        await stage.limit(concurrency=2)
        await stage.put("a", "b", "c")
        await stage.put("d", queue="other")

        claims = await stage.take(queues=("default", "other"))

        assert _ids(claims) == ["a", "b", "d"]
        assert await stage.is_at("c") == [Status.PENDING]
        assert (await stage.status("c")).attempts == 0
        assert await stage.told("c") == ["JobCreated"]

    async def test_a_slot_is_free_in_the_write_that_ends_a_run(self, stage: Stage) -> None:
        await stage.limit(concurrency=1)
        await stage.put("a", "b", "c", "d")
        for expected, status in [("a", Status.COMPLETED), ("b", Status.RETRYING), ("c", Status.FAILED)]:
            (claim,) = await stage.take()
            assert claim.envelope.id == expected
            assert await stage.take() == []
            due = stage.after(60) if status is Status.RETRYING else None
            await stage.settle(claim, status, due_at=due)

        assert _ids(await stage.take()) == ["d"]

    async def test_a_lost_lease_holds_its_slot_until_the_run_is_ended(self, stage: Stage) -> None:
        await stage.limit(concurrency=1)
        await stage.put("a", "b")
        await stage.take(lease=1.0)
        await stage.clock.advance(2)

        assert await stage.take() == []
        (lost,) = await stage.backend.rescue("w2", 10, 30.0)
        assert await stage.take() == []
        await stage.settle(lost, Status.FAILED)

        assert _ids(await stage.take()) == ["b"]

    async def test_types_and_queues_have_limits_of_their_own(self, stage: Stage) -> None:
        await stage.limit(concurrency=3)
        await stage.limit(type="work", concurrency=1)
        await stage.put("a", "b", "c")
        await stage.put("x", "y", "z", type="bulk")

        claims = await stage.take()

        assert _ids(claims) == ["a", "x", "y"]

    async def test_a_limit_of_a_type_ends_at_the_border_of_its_queue(self, stage: Stage) -> None:
        await stage.limit(type="work", concurrency=1)
        await stage.put("a", "b")
        await stage.put("c", "d", queue="other")

        assert _ids(await stage.take(queues=("default", "other"))) == ["a", "c", "d"]

    async def test_many_limited_jobs_in_front_hide_no_others(self, stage: Stage) -> None:
        await stage.limit(type="bulk", concurrency=1)
        await stage.put(*[f"b{n}" for n in range(500)], type="bulk", priority=3)
        await stage.put("a1", "a2")

        assert _ids(await stage.take(3)) == ["b0", "a1", "a2"]

    async def test_jobs_claimed_ahead_hold_slots_too(self, stage: Stage) -> None:
        await stage.limit(concurrency=3)
        await stage.put(*"abcde")

        assert len(await stage.take(4, ahead=2)) == 3
        assert await stage.take() == []

    async def test_no_slots_let_nothing_start(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.limit(concurrency=0)

        assert await stage.take() == []

    async def test_jobs_past_their_time_expire_behind_a_limit(self, stage: Stage) -> None:
        await stage.limit(concurrency=0)
        await stage.put("a", expires_at=stage.after(1))
        await stage.clock.advance(2)

        await stage.take()
        await stage.backend.promote(10)

        assert await stage.is_at("a") == [Status.EXPIRED]

    async def test_a_bucket_lets_its_burst_through_and_then_its_rate(self, stage: Stage) -> None:
        await stage.limit(rate=RateLimit(10, 1_000, burst=3))
        await stage.put(*[f"j{n}" for n in range(20)])

        assert len(await stage.take()) == 3
        await stage.clock.advance(0.099)
        assert await stage.take() == []
        await stage.clock.advance(0.001)
        assert len(await stage.take()) == 1
        await stage.clock.advance(0.2)
        assert len(await stage.take()) == 2
        await stage.clock.advance(60)
        assert len(await stage.take()) == 3

    async def test_a_window_never_holds_more_than_its_amount(self, stage: Stage) -> None:
        await stage.limit(rate=RateLimit(10, 1_280, is_sliding=True))
        await stage.put(*[f"j{n:02}" for n in range(40)])
        starts: list[int] = []
        for _ in range(300):
            starts += [stage.clock.now()] * len(await stage.take(3))
            await stage.clock.advance(0.01)

        assert all(sum(start <= at < start + 1_280 for at in starts) <= 10 for start in starts)
        assert len(starts) >= 29

    async def test_a_job_takes_as_much_as_it_costs(self, stage: Stage) -> None:
        await stage.limit(rate=TEN_A_SECOND)
        await stage.put("a", cost=6)
        await stage.put("b", cost=6)
        await stage.put("c")

        assert _ids(await stage.take()) == ["a"]
        await stage.clock.advance(0.199)
        assert await stage.take() == []
        await stage.clock.advance(0.001)

        assert _ids(await stage.take()) == ["b"]
        await stage.clock.advance(0.1)
        assert _ids(await stage.take()) == ["c"]

    async def test_a_job_that_costs_more_than_all_waits_for_all(self, stage: Stage) -> None:
        await stage.limit(rate=TEN_A_SECOND)
        await stage.put("a")
        await stage.put("b", cost=99)

        assert _ids(await stage.take()) == ["a"]
        await stage.clock.advance(0.1)

        assert _ids(await stage.take()) == ["b"]

    async def test_a_retry_takes_from_the_rate_again(self, stage: Stage) -> None:
        await stage.limit(rate=RateLimit(1, 10_000))
        await stage.put("a")
        claim = await stage.take_one()
        await stage.settle(claim, Status.RETRYING, due_at=stage.after(0.001))
        await stage.clock.advance(1)
        await stage.backend.promote(10)

        assert await stage.take() == []
        await stage.clock.advance(9)
        assert _ids(await stage.take()) == ["a"]

    async def test_a_rate_survives_a_clock_that_is_set_back(self, stage: Stage) -> None:
        await stage.limit(rate=RateLimit(2, 1_000))
        await stage.limit(type="work", rate=RateLimit(2, 1_000, is_sliding=True))
        await stage.put(*"abcd")
        assert len(await stage.take()) == 2
        stage.clock.set_wall(stage.after(-86_400))

        await stage.clock.advance(1.01)

        assert len(await stage.take()) == 2

    async def test_the_desk_wins_over_the_code_and_gives_way_again(self, stage: Stage) -> None:
        await stage.limit(concurrency=1, origin="code")
        await stage.limit(concurrency=3)
        await stage.put(*"abcdef")

        assert len(await stage.take()) == 3
        await stage.limit(concurrency=5, origin="code")
        assert await stage.take() == []
        await stage.limit()

        assert len(await stage.take()) == 2

    async def test_a_breaker_holds_beside_them(self, stage: Stage) -> None:
        await stage.limit(type="work", concurrency=5)
        await stage.limit(type="work", concurrency=2, closed_until=stage.after(10), origin="breaker")
        await stage.put(*"abcd")

        assert await stage.take() == []
        await stage.clock.advance(10)
        assert _ids(await stage.take()) == ["a", "b"]
        await stage.limit(type="work", origin="breaker")

        assert _ids(await stage.take()) == ["c", "d"]

    async def test_limits_are_read_as_they_stand(self, stage: Stage) -> None:
        await stage.limit(type="work", concurrency=4, rate=RateLimit(3, 1_000), origin="code")
        await stage.limit(concurrency=9)
        await stage.limit(type="work", concurrency=5, rate=RateLimit(3, 1_000))
        await stage.limit(type="work", by_key=True, concurrency=1)
        await stage.put("a", "b")
        await stage.take()

        records = await stage.backend.limits()

        seen = [(each.limit.type, each.limit.by_key, each.limit.origin, each.in_force) for each in records]
        assert seen == [
            ("", False, "desk", True),
            ("work", False, "code", False),
            ("work", False, "desk", True),
            ("work", True, "desk", True),
        ]
        assert [each.running for each in records] == [2, 2, 2, 2]
        assert [each.room for each in records] == [None, 1, 1, None]

    async def test_who_waits_is_told_when_a_rate_lets_the_next_through(self, stage: Stage) -> None:
        await stage.limit(rate=RateLimit(1, 600))
        await stage.put("a", "b")
        await stage.take()
        waiting = asyncio.ensure_future(stage.wait(30))

        assert not await stage.ends_within(waiting, 0.5)
        assert await stage.ends_within(waiting, 0.2)
        assert _ids(await stage.take()) == ["b"]

    async def test_who_waits_is_told_when_a_slot_is_free(self, stage: Stage) -> None:
        await stage.limit(concurrency=1)
        await stage.put("a", "b")
        claim = await stage.take_one()
        waiting = asyncio.ensure_future(stage.wait(30))
        assert not await stage.ends_within(waiting, 2)

        await stage.settle(claim, Status.COMPLETED)

        assert await stage.ends_within(waiting, 1.5)
        assert _ids(await stage.take()) == ["b"]

    async def test_who_waits_is_told_when_a_limit_is_lifted(self, stage: Stage) -> None:
        await stage.limit(concurrency=0)
        await stage.put("a")
        waiting = asyncio.ensure_future(stage.wait(30))
        assert not await stage.ends_within(waiting, 2)

        await stage.limit(concurrency=1)

        assert await stage.ends_within(waiting, 1.5)


def _ids(claims: list[Any]) -> list[str]:
    return [claim.envelope.id for claim in claims]
