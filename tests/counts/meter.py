"""Counts of what a piece of work costs: things that a busy machine can't change by much."""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, Self

from aiojobs_engine import Engine
from aiojobs_engine.backends.sqlite import SqliteBackend


class Meter:
    """Transactions, statements and tasks between the two ends of a `with`."""

    def __init__(self) -> None:
        self.transactions = 0
        self.statements = 0
        self.tasks = 0


@contextlib.contextmanager
def metered(store: SqliteBackend) -> Iterator[Meter]:
    """Count what the writer of `store` and the running loop do."""
    meter, loop = Meter(), asyncio.get_running_loop()
    transactions, statements = store.work.transactions, store.work.statements

    def counting(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        meter.tasks += 1
        return asyncio.Task(work, loop=loop, **options)

    loop.set_task_factory(counting)  # type: ignore[arg-type]
    try:
        yield meter
    finally:
        loop.set_task_factory(None)
        meter.transactions = store.work.transactions - transactions
        meter.statements = store.work.statements - statements


class Calls:
    """How many functions written in Python were called on this thread."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, what: str, argument: object) -> None:
        self.count += what == "call"


async def work_off(engine: Engine) -> None:
    """Run a worker until nothing is left to do."""
    await engine.worker(burst=True).run()
