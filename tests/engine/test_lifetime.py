"""Opening and closing: nested, again, from other tasks, loops and processes."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import BackendClosed, BackendUnavailable, ConfigError, Engine, ForkedEngineError
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing import ManualClock
from tests.engine.tasks import begin


class Watched(MemoryBackend):
    """Counts openings and closings; may fail to open."""

    def __init__(self) -> None:
        super().__init__(clock=SystemClock())
        self.calls: list[str] = []
        self.fails = False

    async def open(self) -> None:
        await checkpoint()
        self.calls.append("open")
        if self.fails:
            raise BackendUnavailable("no server")
        await super().open()

    async def close(self) -> None:
        await checkpoint()
        self.calls.append("close")
        await super().close()


def adding(engine: Engine) -> Any:
    @engine.job(name="add")
    async def add(a: int) -> int:
        return a + 1

    return add


@pytest.mark.parametrize("use", ["dispatch", "many", "get", "list", "health", "events", "worker", "cancel"])
async def test_a_closed_engine_says_how_to_open_it(engine: Engine, use: str) -> None:
    add = adding(engine)
    uses: dict[str, Any] = {
        "dispatch": lambda: engine.dispatch(add, a=1),
        "many": lambda: engine.dispatch_many([add.job(a=1)]),
        "get": lambda: engine.jobs.get("x"),
        "list": engine.jobs.list,
        "health": engine.health,
        "events": lambda: anext(engine.events()),
        "worker": lambda: asyncio.to_thread(engine.worker),
        "cancel": lambda: engine.handle("x").cancel(),
    }

    with pytest.raises(BackendClosed, match="async with engine"):
        await uses[use]()


async def test_entering_again_counts_and_the_last_leaving_closes() -> None:
    store = Watched()
    engine = Engine(backend=store)

    async with engine:
        async with engine:
            pass
        assert engine.is_open
        assert store.calls == ["open"]

    assert not engine.is_open
    assert store.calls == ["open", "close"]


async def test_entering_at_once_opens_once() -> None:
    store = Watched()
    engine = Engine(backend=store)

    await asyncio.gather(*(engine.__aenter__() for _ in range(5)))
    await asyncio.gather(*(engine.__aexit__(None, None, None) for _ in range(5)))

    assert store.calls == ["open", "close"]


async def test_an_engine_opens_again_and_finds_its_jobs(engine: Engine) -> None:
    add = adding(engine)
    async with engine:
        handle = await engine.dispatch(add, a=1)

    async with engine.running():
        assert await handle.result(timeout=10) == 2


async def test_it_can_be_entered_and_left_by_different_tasks(engine: Engine) -> None:
    add = adding(engine)

    await begin(engine.__aenter__())
    handle = await engine.dispatch(add, a=1)
    await begin(engine.__aexit__(None, None, None))

    assert handle.created
    assert not engine.is_open


async def test_a_store_that_does_not_open_leaves_the_engine_closed_and_it_can_be_tried_again() -> None:
    store = Watched()
    engine = Engine(backend=store)
    store.fails = True
    with pytest.raises(BackendUnavailable):
        await engine.__aenter__()
    assert not engine.is_open

    store.fails = False
    async with engine:
        assert engine.is_open


async def test_leaving_closes_the_store_also_when_it_is_cancelled() -> None:
    store = Watched()
    engine = Engine(backend=store)
    await engine.__aenter__()

    leaving = begin(engine.__aexit__(None, None, None))
    await checkpoint()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    assert store.calls == ["open", "close"]
    assert not engine.is_open


async def test_closing_waits_for_dispatches_under_way(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        dispatching = [begin(engine.dispatch(add, a=number)) for number in range(50)]
        await checkpoint()

    async with engine:
        assert all(handle.created for handle in await asyncio.gather(*dispatching))
        assert len((await engine.jobs.list()).items) == 50


async def test_another_event_loop_is_told_whose_engine_it_is(engine: Engine) -> None:
    add = adding(engine)
    errors: list[BaseException] = []

    def elsewhere() -> None:
        async def use() -> None:
            for attempt in (lambda: engine.dispatch(add, a=1), engine.__aenter__):
                try:
                    await attempt()
                except ConfigError as error:
                    errors.append(error)

        asyncio.run(use())

    async with engine:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)

        assert ["another event loop" in str(error) for error in errors] == [True, True]
        assert (await engine.dispatch(add, a=1)).created


def test_one_loop_after_another_may_open_it(engine: Engine) -> None:
    add = adding(engine)

    async def once() -> bool:
        async with engine:
            return (await engine.dispatch(add, a=1)).created

    assert [asyncio.run(once()) for _ in range(2)] == [True, True]


def test_a_loop_that_ended_without_closing_does_not_block_the_next() -> None:
    engine = Engine("memory://")
    add = adding(engine)

    async def leave_open() -> None:
        await engine.__aenter__()

    async def use() -> bool:
        async with engine:
            return (await engine.dispatch(add, a=1)).created

    asyncio.run(leave_open())

    assert asyncio.run(use())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_fork_of_an_open_engine_is_refused(engine: Engine) -> None:
    add = adding(engine)
    async with engine:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                await engine.dispatch(add, a=1)
            except ForkedEngineError as error:
                os.write(write, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)

        assert "in process" in os.read(read, 1000).decode()
        assert (await engine.dispatch(add, a=1)).created
    os.close(read)
    os.close(write)


async def test_a_hosted_worker_starts_with_the_block_and_drains_at_its_end(engine: Engine) -> None:
    add = adding(engine)
    ended: list[int] = []
    started = asyncio.Event()

    @engine.job(name="slow")
    async def slow() -> None:
        started.set()
        await checkpoint()
        ended.append(1)

    async with engine.running():
        await engine.dispatch(slow)
        assert await (await engine.dispatch(add, a=1)).result(timeout=10) == 2
        await started.wait()

    assert ended == [1]
    assert not engine.is_open


async def test_without_a_worker_it_only_opens(engine: Engine) -> None:
    add = adding(engine)

    async with engine.running(worker=False):
        handle = await engine.dispatch(add, a=1)
        assert (await engine.health()).workers == 0
        assert (await handle.status()).status == "pending"


async def test_resources_are_entered_before_the_body_and_left_after_it() -> None:
    engine = Engine("memory://")
    add = adding(engine)
    steps: list[str] = []

    @engine.resources
    async def pool() -> AsyncIterator[str]:
        steps.append("in")
        yield "pool"
        steps.append("out")

    async with engine.running():
        steps.append("body")
        await (await engine.dispatch(add, a=1)).result(timeout=10)

    assert steps == ["in", "body", "out"]


async def test_resources_that_fail_fail_the_start() -> None:
    engine = Engine("memory://")
    adding(engine)

    @engine.resources
    @asynccontextmanager
    async def pool() -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(OSError, match="no database"):
        async with engine.running():
            pytest.fail("the body must not begin")

    assert not engine.is_open


async def test_the_error_of_the_body_is_not_hidden_by_the_leaving(engine: Engine) -> None:
    adding(engine)

    with pytest.raises(KeyError, match="mine"):
        async with engine.running():
            raise KeyError("mine")


async def test_hosting_without_job_types_says_what_is_missing(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="no job types"):
        async with engine.running():
            pytest.fail("the body must not begin")


@pytest.mark.parametrize("wrong", [5, lambda: None], ids=["number", "function"])
def test_what_is_no_resource_is_refused(engine: Engine, wrong: Any) -> None:
    async def plain() -> None: ...

    if wrong == 5:
        with pytest.raises(ConfigError, match="one yield"):
            engine.resources(wrong)
    with pytest.raises(ConfigError, match="one yield"):
        engine.resources(plain)


def test_there_is_one_resources(engine: Engine) -> None:
    @engine.resources
    async def first() -> AsyncIterator[None]:
        yield

    with pytest.raises(ConfigError, match=r"one @engine.resources"):
        engine.resources(first)


async def test_middleware_wraps_runs_the_first_one_outermost(engine: Engine) -> None:
    add = adding(engine)
    steps: list[str] = []

    @engine.middleware
    async def outer(ctx: Any, call_next: Any) -> Any:
        steps.append(f"outer {ctx.attempt}")
        return await call_next() + 100

    @engine.middleware
    async def inner(ctx: Any, call_next: Any) -> Any:
        steps.append("inner")
        return await call_next()

    async with engine.running():
        assert await (await engine.dispatch(add, a=1)).result(timeout=10) == 102

    assert steps == ["outer 1", "inner"]


def test_a_middleware_is_an_async_function(engine: Engine) -> None:
    wrong: Any = lambda ctx, call_next: None  # noqa: E731

    with pytest.raises(ConfigError, match="async function"):
        engine.middleware(wrong)


def test_an_engine_has_a_url_or_a_backend() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Engine("memory://", backend=MemoryBackend(clock=ManualClock()))


@pytest.mark.parametrize(
    "backend, hint",
    [("memory://", "first argument"), (object(), "it lacks"), (MemoryBackend, "an instance")],
    ids=["url", "object", "class"],
)
def test_what_is_no_backend_is_refused(backend: Any, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        Engine(backend=backend)


def test_an_engine_shows_its_url() -> None:
    assert repr(Engine("sqlite:///jobs.db")) == "<Engine sqlite:///jobs.db>"
    assert repr(Engine(backend=MemoryBackend(clock=ManualClock()))) == "<Engine its own backend>"
