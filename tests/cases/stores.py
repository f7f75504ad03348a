"""Both embedded stores under one clock that the test moves."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.clock import ManualClock
from tests.runtime.world import World

MEMORY = "memory"
SQLITE = "sqlite"
KINDS = (MEMORY, SQLITE)


class UnderWay:
    """What threads still do for the loop; a `ManualClock` waits for it before it moves on."""

    def __init__(self) -> None:
        self._futures: set[asyncio.Future[Any]] = set()

    def watch(self, future: "asyncio.Future[Any]") -> None:
        if not future.done():
            self._futures.add(future)
            future.add_done_callback(self._futures.discard)

    async def any_left(self) -> bool:
        if not self._futures:
            return False
        await asyncio.wait(list(self._futures))
        return True


class RestingSqlite(SqliteBackend):
    """The SQLite store; its threads count as busy tasks of the loop."""

    def __init__(self, path: Path, *, clock: ManualClock, under_way: UnderWay) -> None:
        super().__init__(path, clock=clock, durability="normal")
        self._under_way = under_way

    async def open(self) -> None:
        if self._writer is not None:
            return
        await super().open()
        assert self._writer is not None
        assert self._reader is not None
        self._writer.submit = self._seen(self._writer.submit)
        self._reader.one = self._awaited(self._reader.one)

    def _seen(self, submit: Callable[..., "asyncio.Future[Any]"]) -> Callable[..., "asyncio.Future[Any]"]:
        def watched(*args: Any, **options: Any) -> "asyncio.Future[Any]":
            future = submit(*args, **options)
            self._under_way.watch(future)
            return future

        return watched

    def _awaited(self, read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def watched(*args: Any, **values: Any) -> Any:
            reading: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._under_way.watch(reading)
            try:
                return await read(*args, **values)
            finally:
                reading.set_result(None)

        return watched


def make_store(kind: str, folder: Path) -> tuple[Any, ManualClock]:
    """A store that is not open yet, and its clock."""
    if kind == MEMORY:
        clock = ManualClock()
        return MemoryBackend(clock=clock), clock
    under_way = UnderWay()
    clock = ManualClock(unseen=under_way.any_left)
    return RestingSqlite(folder / "jobs.db", clock=clock, under_way=under_way), clock


class Case(World):
    """A worker on either store; a second one, on the same store, is `other()`."""

    def other(self, **options: Any) -> World:
        """The same store and clock with job types of its own, as another process would have them."""
        return World(store=self.store, clock=self.clock, **{"settings": self.settings, **options})


def clock_of(engine: Engine) -> ManualClock:
    """The clock of an engine that a fixture made."""
    clock = engine.clock
    assert isinstance(clock, ManualClock)
    return clock


def store_of(engine: Engine) -> Any:
    """The store of an open engine."""
    return engine._life.door().store


async def work_off(engine: Engine, *, seconds: float = 3600.0) -> None:
    """Run a worker until nothing is due and nothing waits for its retry, in at most so much virtual time."""
    clock = clock_of(engine)
    task = start(engine.worker(burst=True).run(), "worker")
    elapsed = 0.0
    await clock.rest()
    while not task.done():
        assert elapsed < seconds, f"the worker has not ended after {seconds} virtual seconds"
        await clock.advance(0.05)
        elapsed += 0.05
    await task
