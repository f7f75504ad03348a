"""A worker inside somebody else's program: it lives as long as a context, and touches no signal handler."""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, cast

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.runtime.context import Middleware
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.runtime.worker import Worker

logger = logging.getLogger(__name__)

Resources = Callable[[], AbstractAsyncContextManager[Any]]


async def finish(task: asyncio.Task[None]) -> None:
    """Wait until `task` has ended, also when cancelled meanwhile, and raise what it raised."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    await task


@asynccontextmanager
async def hosted(make: Callable[[Callable[[], None]], Worker]) -> AsyncGenerator[Worker]:
    """Run the worker that `make` makes, from the moment its resources are entered until the body ends.

    `make` gets a function to call when the resources are entered. Leaving drains: running jobs get
    `drain_timeout`; when the leaving itself is cancelled, they are handed back at once.

    Raises:
        Exception: what the worker raised at its start; what it raised later comes when the body ends well.
    """
    entered = asyncio.Event()
    worker = make(entered.set)
    task = start(worker.run(), "aiojobs:worker")
    task.add_done_callback(lambda _: entered.set())
    try:
        await entered.wait()
        if task.done():
            await task
        task.add_done_callback(_report)
        yield worker
    finally:
        worker.stop()
        await _left(task, worker)
    await task


def entering(resources: Resources | None, entered: Callable[[], None]) -> Resources:
    """`resources`, calling `entered` once they are entered."""

    @asynccontextmanager
    async def both() -> AsyncGenerator[Any]:
        async with nullcontext() if resources is None else resources() as value:
            entered()
            yield value

    return both


def checked_resources(fn: Callable[[], object]) -> Resources:
    """`fn` as something that gives an async context manager.

    Raises:
        ConfigError: it can't.
    """
    if inspect.isasyncgenfunction(fn):
        return asynccontextmanager(fn)
    if inspect.iscoroutinefunction(fn) or inspect.isgeneratorfunction(fn) or not callable(fn):
        raise ConfigError(f"@engine.resources decorates an async function with one yield, got {fn!r:.80}")
    return cast("Resources", fn)


def checked_middleware(fn: Middleware) -> Middleware:
    """`fn` itself, when it is an async function.

    Raises:
        ConfigError: it is none.
    """
    if not inspect.iscoroutinefunction(fn):
        raise ConfigError(f"a middleware is an async function of (ctx, call_next), got {fn!r:.80}")
    return fn


async def _left(task: asyncio.Task[None], worker: Worker) -> None:
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        worker.stop_now()
        await asyncio.wait([task])
        raise


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the worker ended early; no jobs run in this process any more", exc_info=error)
