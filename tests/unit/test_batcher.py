"""Calls that come together travel together, and each gets its own answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.runtime.batcher import Batcher
from aiojobs_engine.runtime.task_group import start


class Writer:
    """Answers `-item`, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = self.most = 0
        self.error: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await checkpoint()
        await self.gate.wait()
        self.under_way -= 1
        if self.error is not None and -1 in items:
            raise self.error
        return [-item for item in items]


@settings(deadline=None, max_examples=60)
@given(groups=st.lists(st.lists(st.integers(0, 1_000), max_size=20), max_size=8), limit=st.integers(1, 7))
async def test_every_item_is_written_once_in_order_and_answered_with_its_own(
    groups: list[list[int]], limit: int
) -> None:
    writer = Writer()
    batcher: Batcher[int, int] = Batcher(writer, limit=limit)
    asked: list[asyncio.Task[int]] = []
    for group in groups:
        asked += [asyncio.get_running_loop().create_task(batcher.submit(item)) for item in group]
        await checkpoint()
    answers = await asyncio.gather(*asked)

    items = [item for group in groups for item in group]
    assert answers == [-item for item in items]
    assert [item for batch in writer.batches for item in batch] == items
    assert all(len(batch) <= limit for batch in writer.batches)


async def test_what_comes_while_a_write_is_under_way_travels_in_the_next_one() -> None:
    writer = Writer()
    writer.gate.clear()
    batcher: Batcher[int, int] = Batcher(writer)
    asked = [asyncio.get_running_loop().create_task(batcher.submit(0))]
    await checkpoint()
    asked += [asyncio.get_running_loop().create_task(batcher.submit(item)) for item in range(1, 101)]
    for _ in range(5):
        await checkpoint()
    writer.gate.set()
    await asyncio.gather(*asked)

    assert [len(batch) for batch in writer.batches] == [1, 100]
    assert writer.most == 1


async def test_a_write_that_fails_fails_its_own_batch_and_no_other() -> None:
    writer = Writer()
    writer.error = OSError("down")
    batcher: Batcher[int, int] = Batcher(writer, limit=2)
    asked = [asyncio.get_running_loop().create_task(batcher.submit(item)) for item in (1, 2, -1, 4, 5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert writer.batches == [[1], [2, -1], [4, 5]]
    assert answers == [-1, writer.error, writer.error, -4, -5]


async def test_a_lone_write_that_fails_tells_its_caller_and_lets_the_next_ones_go_on() -> None:
    writer = Writer()
    writer.error = OSError("down")
    batcher: Batcher[int, int] = Batcher(writer)
    asked = [asyncio.get_running_loop().create_task(batcher.submit(item)) for item in (-1, 2)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert answers == [writer.error, -2]


async def test_cancelling_one_caller_leaves_the_write_and_the_others_alone() -> None:
    writer = Writer()
    writer.gate.clear()
    batcher: Batcher[int, int] = Batcher(writer)
    asked = [asyncio.get_running_loop().create_task(batcher.submit(item)) for item in range(3)]
    await checkpoint()
    asked[1].cancel()
    await checkpoint()
    writer.gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert writer.batches == [[0], [2]]
    assert (answers[0], answers[2]) == (0, -2)
    assert isinstance(answers[1], asyncio.CancelledError)


async def test_cancelling_the_one_who_writes_lets_those_who_came_meanwhile_go_on() -> None:
    writer = Writer()
    writer.gate.clear()
    batcher: Batcher[int, int] = Batcher(writer)
    asked = [asyncio.get_running_loop().create_task(batcher.submit(item)) for item in range(3)]
    await checkpoint()
    asked[0].cancel()
    writer.gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    await batcher.close()

    assert writer.batches == [[0], [1, 2]]
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [-1, -2]


async def test_who_comes_alone_writes_in_their_own_step() -> None:
    writer = Writer()
    batcher: Batcher[int, int] = Batcher(writer)
    for item in range(1, 4):
        asked = asyncio.get_running_loop().create_task(batcher.submit(item))
        await checkpoint()
        assert writer.batches[-1:] == [[item]]
        await asked


async def test_callers_who_come_together_again_travel_together_from_the_second_write_on() -> None:
    writer = Writer()
    batcher: Batcher[int, int] = Batcher(writer)

    async def call() -> None:
        for item in range(3):
            await batcher.submit(item)

    await asyncio.gather(*(call() for _ in range(50)))

    assert [len(batch) for batch in writer.batches] == [1, 50, 50, 49]


async def test_who_comes_alone_after_many_finds_everything_as_before() -> None:
    writer = Writer()
    batcher: Batcher[int, int] = Batcher(writer)
    await asyncio.gather(*(batcher.submit(item) for item in range(10)))
    await batcher.submit(10)
    asked = asyncio.get_running_loop().create_task(batcher.submit(11))
    await checkpoint()

    assert [len(batch) for batch in writer.batches] == [1, 9, 1, 1]
    await asked


async def test_closing_waits_for_what_was_submitted() -> None:
    writer = Writer()
    writer.gate.clear()
    batcher: Batcher[int, int] = Batcher(writer)
    asked = asyncio.get_running_loop().create_task(batcher.submit(1))
    await checkpoint()
    closing = start(batcher.close(), "close")
    for _ in range(5):
        await checkpoint()
    assert not closing.done()
    writer.gate.set()
    await closing

    assert await asked == -1


async def test_an_answer_of_the_wrong_length_is_an_error_for_every_caller() -> None:
    async def too_few(items: Sequence[int]) -> list[int]:
        return list(items)[1:]

    batcher: Batcher[int, int] = Batcher(too_few)
    asked: list[asyncio.Task[Any]] = [
        asyncio.get_running_loop().create_task(batcher.submit(item)) for item in range(3)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(answer) for answer in answers] == [ValueError] * 3


async def test_without_a_caller_there_is_no_write() -> None:
    writer = Writer()
    batcher: Batcher[int, int] = Batcher(writer)
    await batcher.close()

    assert writer.batches == []
