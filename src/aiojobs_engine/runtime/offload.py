"""Plain functions: in threads, or in processes of their own."""

import asyncio
import functools
import importlib
from collections.abc import Callable
from typing import Any, Protocol, cast

import anyio.to_process
import anyio.to_thread
import msgspec
from anyio import BrokenWorkerProcess, CapacityLimiter

from aiojobs_engine.core.codec import encode_json


class ChildDied(Exception):
    """The process that ran the function ended without an answer."""


class Offload:
    """Runs plain functions beside the loop; at most as many at once as the worker has slots."""

    def __init__(self, slots: int) -> None:
        """Bound threads and processes by `slots`."""
        self._threads = CapacityLimiter(slots)
        self._processes = CapacityLimiter(slots)

    async def in_thread(self, call: Callable[[], Any], ended: asyncio.Event) -> Any:
        """The function's value. Cancelling returns at once; `ended` is set when the thread really ends."""
        loop = asyncio.get_running_loop()

        def run() -> Any:
            try:
                return call()
            finally:
                loop.call_soon_threadsafe(ended.set)

        return await anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=self._threads)

    async def in_process(self, fn: Callable[..., Any], payload: bytes) -> Any:
        """The function's value as plain JSON data. Cancelling kills the process.

        Raises:
            ChildDied: the process ended without an answer.
        """
        call = functools.partial(_in_child, fn.__module__, fn.__qualname__, payload)
        try:
            answer = await anyio.to_process.run_sync(call, cancellable=True, limiter=self._processes)
        except BrokenWorkerProcess as error:
            raise ChildDied(f"the process that ran {fn.__qualname__} ended without an answer") from error
        return msgspec.json.decode(answer)


def _in_child(module: str, qualname: str, payload: bytes) -> bytes:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    job_type = cast("_PlainType", found)
    return encode_json(job_type.call_plain(payload), "the result")


class _PlainType(Protocol):
    """The part of a job type that the child uses: what it finds under the handler's name."""

    def call_plain(self, payload: bytes) -> Any:
        """Call the function on encoded arguments."""
        ...
