"""The hub: events by job, by user and for all, each client behind a bounded buffer, resumed from any id."""

import asyncio
import json
from typing import Any

import pytest

from aiojobs_engine import BackendUnavailable, ConfigError
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.config import ListenerSettings, Settings
from aiojobs_engine.core.job_settings import JobSettings, ListenerOverrides, OptionSettings
from aiojobs_engine.core.state import Status
from aiojobs_engine.events.listeners.broadcast import (
    REPLAYED,
    RESET,
    Channel,
    Client,
    Frame,
    Hub,
    channel_of,
    sse_of,
    text_of,
)
from aiojobs_engine.events.shared import SharedStream
from aiojobs_engine.testing import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage

ALL = [Channel("all")]


class Counted(MemoryBackend):
    """A store that counts the looks into its stream, and can be away."""

    reads = 0
    is_away = False

    async def read(self, after: str | None, limit: int) -> Any:
        self.reads += 1
        if self.is_away:
            raise BackendUnavailable("connection reset")
        return await super().read(after, limit)


async def opened() -> tuple[Stage, Counted]:
    clock = ManualClock()
    store = Counted(clock=clock)
    await store.open()
    return Stage(store, clock), store


def hub_of(stage: Stage, settings: Settings | None = None, **options: Any) -> Hub:
    return Hub(SharedStream(stage.backend), stage.clock, settings or Settings(), **options)


async def told(client: Client) -> list[tuple[str, str]]:
    """What waits for a client: job and cause, in order."""
    found = [json.loads(frame.data) for frame in await client.next(0)]
    return [(each["job_id"], each["cause"]) for each in found]


async def test_each_channel_is_told_what_belongs_to_it() -> None:
    stage, _ = await opened()
    hub = hub_of(stage)
    async with (
        hub.connected(ALL) as everything,
        hub.connected([Channel("job", "a")]) as of_a,
        hub.connected([Channel("user", "7")]) as of_user,
        hub.connected([Channel("job", "b"), Channel("user", "7"), Channel("job", "b")]) as both,
    ):
        await stage.put("a")
        await stage.put("b", user_id=7)
        await stage.take()
        await stage.clock.rest()

        created, started = "JobCreated", "JobStarted"
        assert await told(everything) == [("a", created), ("b", created), ("a", started), ("b", started)]
        assert await told(of_a) == [("a", created), ("a", started)]
        assert await told(of_user) == [("b", created), ("b", started)]
        assert await told(both) == [("b", created), ("b", started)]
        assert hub.clients == 4
    assert hub.clients == 0


async def test_a_chunk_is_told_to_those_who_follow_its_parent() -> None:
    stage, _ = await opened()
    claim = await stage.start("bulk")
    hub = hub_of(stage)
    async with hub.connected([Channel("job", "bulk")]) as client:
        await stage.record(claim, children=(stage.chunk("bulk", 1),))
        await stage.clock.rest()

        assert ("bulk:1", "JobCreated") in await told(client)


async def test_one_who_comes_back_is_given_what_it_missed_and_nothing_twice() -> None:
    stage, _ = await opened()
    hub = hub_of(stage)
    async with hub.connected(ALL) as client:
        await stage.put("a", "b")
        await stage.clock.rest()
        first, _ = await client.next(0)
    await stage.put("c")
    async with hub.connected(ALL) as other, hub.connected(ALL, first.id) as back:
        await stage.put("d")
        await stage.clock.rest()

        assert [job for job, _ in await told(back)] == ["b", "c", "d"]
        assert [job for job, _ in await told(other)] == ["d"]


async def test_what_comes_while_one_is_given_what_it_missed_comes_once_and_in_order() -> None:
    stage, store = await opened()
    hub = hub_of(stage)
    await stage.put("a")
    tail = await store.tail()
    await stage.put("b")
    reading, go_on = asyncio.Event(), asyncio.Event()
    inner = store.read

    async def slow(after: str | None, limit: int) -> Any:
        if after == tail:
            reading.set()
            await go_on.wait()
        return await inner(after, limit)

    async with hub.connected(ALL) as other:
        store.read = slow  # type: ignore[method-assign]
        coming = hub.connected(ALL, tail)
        entering = asyncio.get_running_loop().create_task(coming.__aenter__())
        await reading.wait()
        await stage.put("c")
        await stage.clock.rest()
        go_on.set()
        client = await entering
        await stage.put("d")
        await stage.clock.rest()

        assert [job for job, _ in await told(client)] == ["b", "c", "d"]
        assert [job for job, _ in await told(other)] == ["c", "d"]
        await coming.__aexit__(None, None, None)


@pytest.mark.parametrize("last_id", ["nonsense", "99999999", "0-0-0-0", "\x00"])
async def test_one_who_comes_back_with_an_id_that_nobody_knows_is_told_to_look_anew(last_id: str) -> None:
    stage, _ = await opened()
    async with hub_of(stage).connected(ALL, last_id) as client:
        assert await client.next(0) == [RESET]
        await stage.put("a")
        await stage.clock.rest()
        assert await told(client) == [("a", "JobCreated")]


async def test_one_who_missed_too_much_is_told_to_look_anew() -> None:
    stage, _ = await opened()
    start = await stage.backend.tail()
    await stage.put(*[f"job-{number}" for number in range(REPLAYED + 1)])
    async with hub_of(stage).connected(ALL, start) as client:
        assert await client.next(0) == [RESET]


@pytest.mark.case("E5")
async def test_a_store_that_is_away_for_ten_seconds_costs_nothing_but_time() -> None:
    stage, store = await opened()
    async with hub_of(stage).connected(ALL) as client:
        await stage.put("a")
        await stage.clock.rest()
        store.is_away = True
        await stage.put("b")
        await stage.clock.advance(10)
        await stage.put("c")
        store.is_away = False
        await stage.clock.advance(10)

        assert [job for job, _ in await told(client)] == ["a", "b", "c"]
        assert not client.is_closed


@pytest.mark.case("E9")
async def test_of_a_thousand_clients_one_that_never_reads_is_closed_and_harms_nobody() -> None:
    stage, store = await opened()
    hub = hub_of(stage, buffer=100)
    seen = [0] * 999
    tasks = []

    async def follow(place: int) -> None:
        async with hub.connected(ALL) as client:
            while not client.is_closed:
                seen[place] += len(await client.next(60))

    async with hub.connected(ALL) as stuck:
        tasks = [asyncio.get_running_loop().create_task(follow(place)) for place in range(999)]
        await stage.clock.rest()
        before = store.reads
        for number in range(20):
            await stage.put(*[f"job-{number}-{each}" for each in range(10)])
            await stage.clock.advance(0.3)

        assert stuck.is_closed
        assert await stuck.next(0) == []
        assert hub.too_slow == 1
        assert set(seen) == {200}
        assert store.reads - before <= 60  # however many clients there are
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert hub.clients == 0


async def test_clients_of_one_channel_share_what_waits_for_them() -> None:
    stage, _ = await opened()
    hub = hub_of(stage)
    async with hub.connected(ALL) as first, hub.connected(ALL) as second:
        await stage.put("a")
        await stage.clock.rest()
        (one,), (two,) = await first.next(0), await second.next(0)

        assert one is two


@pytest.mark.parametrize(
    "settings, heard",
    [
        (Settings(), ["a", "b"]),
        (Settings(listeners=ListenerSettings(broadcast=False)), []),
        (Settings(kinds={"job": OptionSettings(listeners=ListenerOverrides(broadcast=False))}), []),
        (Settings(jobs={"bulk": JobSettings(listeners=ListenerOverrides(broadcast=False))}), ["a"]),
        (
            Settings(
                listeners=ListenerSettings(broadcast=False),
                kinds={"job": OptionSettings(listeners=ListenerOverrides(broadcast=True))},
            ),
            ["a", "b"],
        ),
        (
            Settings(
                kinds={"job": OptionSettings(listeners=ListenerOverrides(broadcast=False))},
                jobs={"bulk": JobSettings(listeners=ListenerOverrides(broadcast=True))},
            ),
            ["b"],
        ),
        (
            Settings(
                listeners=ListenerSettings(broadcast=False),
                jobs={"bulk": JobSettings(listeners=ListenerOverrides(broadcast=True))},
            ),
            ["b"],
        ),
    ],
)
async def test_switches_for_all_by_kind_and_by_type_are_obeyed(settings: Settings, heard: list[str]) -> None:
    stage, _ = await opened()
    start = await stage.backend.tail()
    hub = hub_of(stage, settings)
    async with hub.connected(ALL) as client:
        await stage.put("a")
        await stage.put("b", type="bulk")
        await stage.clock.rest()
        assert [job for job, _ in await told(client)] == heard
    async with hub.connected(ALL, start) as back:
        assert [job for job, _ in await told(back)] == heard


async def test_the_reader_lives_while_there_are_clients() -> None:
    stage, store = await opened()
    hub = hub_of(stage)
    async with hub.connected(ALL):
        await stage.clock.rest()
    await stage.clock.advance(120)
    reads = store.reads
    await stage.put("a")
    await stage.clock.advance(120)

    assert store.reads == reads


async def test_a_closed_store_closes_the_clients() -> None:
    stage, store = await opened()
    async with hub_of(stage).connected(ALL) as client:
        await store.close()
        await stage.clock.advance(60)

        assert client.is_closed


async def test_a_hub_that_ends_closes_its_clients() -> None:
    stage, _ = await opened()
    hub = hub_of(stage)
    async with hub.connected(ALL) as client:
        await hub.close()

        assert client.is_closed


def test_frames_are_what_browsers_expect() -> None:
    frame = Frame("12-0", "JobStatusUpdated", b'{"job_id":"a"}')

    assert sse_of(frame) == b'id: 12-0\nevent: JobStatusUpdated\ndata: {"job_id":"a"}\n\n'
    assert sse_of(RESET) == b"event: reset\ndata: {}\n\n"
    assert json.loads(text_of(frame)) == {"id": "12-0", "event": "JobStatusUpdated", "data": {"job_id": "a"}}


@pytest.mark.case("X20")
async def test_no_text_of_a_job_can_pose_as_an_event() -> None:
    stage, _ = await opened()
    claim = await stage.start("a")
    async with hub_of(stage).connected(ALL) as client:
        message = "x\n\nevent: reset\ndata: {}\r\n\u2028"
        event = stage.progressed(claim, claim.counters, message)
        await stage.record(claim, message=message, event=event)
        await stage.clock.rest()
        (frame,) = await client.next(0)

    assert sse_of(frame).count(b"\n") == 4
    assert json.loads(frame.data)["message"] == message


async def test_errors_and_messages_come_along() -> None:
    stage, _ = await opened()
    claim = await stage.start("a")
    async with hub_of(stage).connected(ALL) as client:
        await stage.settle(claim, Status.FAILED)
        await stage.clock.rest()
        (frame,) = await client.next(0)

    data = json.loads(frame.data)
    assert (data["cause"], data["status"], data["at"]) == ("JobFailed", "failed", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text", ["", "job", "job:", "user:", "team:1", "all:1", "job:" + "x" * 300, "user:\0"]
)
def test_what_is_no_channel_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a channel is"):
        channel_of(text)


def test_channels_are_named_as_they_are_written() -> None:
    for text in ("all", "job:a:b", "user:ann@example.org"):
        assert str(channel_of(text)) == text
