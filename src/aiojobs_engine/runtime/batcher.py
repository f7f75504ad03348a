"""Batches that form by themselves: what arrives while a write is under way travels in the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from aiojobs_engine.runtime.task_group import join, start

T = TypeVar("T")
A = TypeVar("A")


class Batcher(Generic[T, A]):
    """Joins concurrent calls into one; nothing waits on a timer.

    `write` takes at most `limit` items and answers in their order. One write is under way at a time. When it
    raises, every item of that batch gets the error.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[A]]], *, limit: int = 1000) -> None:
        """Send batches to `write`."""
        self._write = write
        self._limit = limit
        self._waiting: list[tuple[T, asyncio.Future[A]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> A:
        """The answer for `item`. Cancelling the caller leaves the write under way as it is."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = start(self._flush(), "aiojobs:batch")
        return await future

    async def close(self) -> None:
        """Return when everything submitted has been written."""
        while self._task is not None:
            await join(self._task)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._send(batch)
        finally:
            self._task = None

    async def _send(self, batch: list[tuple[T, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._write([item for item, _ in batch])
            answered = list(zip(batch, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - the callers raise it, each for itself
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in answered:
            if not future.done():
                future.set_result(answer)
