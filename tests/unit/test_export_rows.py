"""Rows of plain iterators, taken in threads as many at once as come quickly."""

from collections.abc import Callable, Iterator
from typing import Any

from aiojobs_engine.bulk.export_rows import PAGE, from_thread

QUICK, SLOW = 3_000, 100


async def test_rows_that_come_slower_later_are_handed_over_before_many_of_them_have_come() -> None:
    now = 0.0
    rows_of_calls: list[int] = []
    seconds_of_calls: list[float] = []

    def rows() -> Iterator[int]:
        nonlocal now
        for number in range(QUICK + SLOW):
            now += 0.0 if number < QUICK else 10.0
            yield number

    async def in_thread(call: Callable[[], Any]) -> Any:
        began = now
        taken = call()
        rows_of_calls.append(len(taken[0]))
        seconds_of_calls.append(now - began)
        return taken

    found = [row async for row in from_thread(in_thread, rows(), lambda: now)]

    assert found == list(range(QUICK + SLOW))
    assert rows_of_calls[: QUICK // PAGE] == [PAGE] * (QUICK // PAGE)
    assert max(seconds_of_calls) == 10.0
