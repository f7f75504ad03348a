"""The event stream: in order, from any cursor, to anybody who listens."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobCancelled, JobEvent, JobStarted
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

HOUR = 3600.0
SOON = 30.0


class EventContract(Contract):
    """`EventStream`."""

    async def test_an_empty_store_has_a_cursor_to_go_on_from(self, stage: Stage) -> None:
        events, cursor = await stage.backend.read(None, 10)
        assert list(events) == []

        await stage.put("a")

        events, _ = await stage.backend.read(cursor, 10)
        assert [event.job_id for event in events] == ["a"]

    async def test_events_come_in_the_order_of_the_writes(self, stage: Stage) -> None:
        await stage.put("a", "b")
        first, second = await stage.take()
        await stage.settle(second, Status.COMPLETED)
        await stage.settle(first, Status.FAILED)

        told = [(event.job_id, type(event).__name__) for event in await stage.events()]

        assert told == [
            ("a", "JobCreated"),
            ("b", "JobCreated"),
            ("a", "JobStarted"),
            ("b", "JobStarted"),
            ("b", "JobCompleted"),
            ("a", "JobFailed"),
        ]

    async def test_every_event_is_a_cursor_to_what_comes_after_it(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.take()
        events = await stage.events()

        for number, event in enumerate(events, 1):
            assert await stage.events(event.cursor) == events[number:]

    async def test_reading_goes_on_where_it_ended(self, stage: Stage) -> None:
        await stage.put(*[f"a{number}" for number in range(50)])
        seen: list[str] = []
        cursor: str | None = None

        while True:
            events, after = await stage.backend.read(cursor, 7)
            seen += [event.event_id for event in events]
            if after == cursor:
                break
            cursor = after

        assert seen == [event.event_id for event in await stage.events()]
        assert len(seen) == 50

    async def test_reading_at_the_end_stays_at_the_end(self, stage: Stage) -> None:
        await stage.put("a")
        tail = await stage.backend.tail()

        events, cursor = await stage.backend.read(tail, 10)

        assert (list(events), cursor) == ([], tail)

    async def test_the_tail_is_behind_every_event_so_far(self, stage: Stage) -> None:
        before = await stage.backend.tail()
        await stage.put("a")
        after = await stage.backend.tail()

        assert len(await stage.events(before)) == 1
        assert await stage.events(after) == []

    @pytest.mark.parametrize(
        "cursor", ["", "nonsense", "-1", "é", "99999999999999", pytest.param("9" * 5000, id="endless")]
    )
    async def test_a_cursor_that_is_none_of_the_stores_is_refused(self, stage: Stage, cursor: str) -> None:
        await stage.put("a")

        with pytest.raises(ConfigError):
            await stage.backend.read(cursor, 10)

    async def test_a_cursor_by_time_misses_nothing_of_that_time_or_later(self, stage: Stage) -> None:
        await stage.put("old")
        await stage.clock.advance(60)
        at = stage.clock.now()
        await stage.put("new")
        await stage.clock.advance(60)
        await stage.put("newer")

        seen = [event.job_id for event in await stage.events(await stage.backend.since(at))]

        assert seen[-2:] == ["new", "newer"]

    async def test_a_cursor_for_the_future_is_the_tail_or_before_it(self, stage: Stage) -> None:
        await stage.put("a")

        cursor = await stage.backend.since(stage.after(HOUR))

        await stage.put("b")
        assert [event.job_id for event in await stage.events(cursor)][-1] == "b"

    async def test_waiting_for_events_ends_when_one_is_stored(self, stage: Stage) -> None:
        tail = await stage.backend.tail()

        async with _waiting(stage.backend, tail) as first, _waiting(stage.backend, tail) as second:
            await stage.clock.rest()
            await stage.put("a")

            assert await stage.ends_within(first, SOON)
            assert await stage.ends_within(second, SOON)

    async def test_waiting_for_events_that_are_there_ends_at_once(self, stage: Stage) -> None:
        tail = await stage.backend.tail()
        await stage.put("a")

        async with _waiting(stage.backend, tail) as waiter:
            assert await stage.ends_within(waiter, SOON)

    async def test_waiting_for_events_ends_with_its_timeout(self, stage: Stage) -> None:
        async with _waiting(stage.backend, await stage.backend.tail(), timeout=5) as waiter:
            assert await stage.ends_within(waiter, 6)

    async def test_a_tap_gets_what_was_stored_in_order_with_its_ids(self, stage: Stage) -> None:
        tapped: list[JobEvent] = []
        stage.backend.tap(tapped.extend)

        await stage.put("a", "b")
        first, second = await stage.take()
        await stage.backend.settle(
            [stage.settlement(second, Status.COMPLETED), stage.settlement(first, Status.PENDING)]
        )
        await stage.backend.cancel(["a"])

        assert tapped == await stage.events()
        assert len(tapped) == 7

    async def test_a_tap_is_told_after_the_write(self, stage: Stage) -> None:
        calls: list[Sequence[JobEvent]] = []
        stage.backend.tap(calls.append)

        await stage.put("a")
        await stage.put("a")

        assert [[event.job_id for event in call] for call in calls if call] == [["a"]]

    async def test_a_tap_gets_only_what_is_picked(self, stage: Stage) -> None:
        tapped: list[JobEvent] = []
        seen: list[int] = []

        def pick(events: Sequence[JobEvent]) -> list[int]:
            seen.append(len(events))
            return [index for index, event in enumerate(events) if event.job_id == "b"]

        stage.backend.tap(tapped.extend, pick)
        await stage.put("a", "b", "c")
        await stage.put("d")

        assert seen == [3, 1]
        assert tapped == [event for event in await stage.events() if event.job_id == "b"]

    async def test_a_tap_gets_every_event_of_its_classes(self, stage: Stage) -> None:
        tapped: list[JobEvent] = []
        stage.backend.tap(tapped.extend, None, (JobStarted, JobCancelled))

        await stage.put("a", "b")
        await stage.take(1)
        await stage.put("c")
        await stage.backend.cancel(["b"])

        found = [event for event in tapped if isinstance(event, JobStarted | JobCancelled)]
        assert [(type(event), event.job_id) for event in found] == [(JobStarted, "a"), (JobCancelled, "b")]

    async def test_a_tap_can_be_taken_off(self, stage: Stage) -> None:
        tapped: list[JobEvent] = []
        stage.backend.tap(tapped.extend)
        await stage.put("a")

        stage.backend.tap(None)
        await stage.put("b")

        assert [event.job_id for event in tapped] == ["a"]


@asynccontextmanager
async def _waiting(backend: Store, after: str, timeout: float = HOUR) -> AsyncGenerator["asyncio.Task[None]"]:
    waiter = asyncio.create_task(backend.wait_events(after, timeout))
    try:
        yield waiter
    finally:
        waiter.cancel()
        await asyncio.wait([waiter])
