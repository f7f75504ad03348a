"""Batches that form by themselves: what arrives while a write is under way travels in the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from aiojobs_engine.runtime.task_group import start

T = TypeVar("T")
A = TypeVar("A")


class Batcher(Generic[T, A]):
    """Joins concurrent calls into one; nothing waits on a timer.

    `write` takes at most `limit` items and answers in their order. One write is under way at a time. When it
    raises, every item of that batch gets the error. Who comes alone writes in their own task, at once. Where
    the last write carried several, whoever is first lets the others of this turn of the loop come along.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[A]]], *, limit: int = 1000) -> None:
        """Send batches to `write`."""
        self._write = write
        self._limit = limit
        self._waiting: list[tuple[T, asyncio.Future[A]]] = []
        self._task: asyncio.Task[None] | None = None
        self._is_writing = False
        self._is_crowded = False
        self._idle = asyncio.Event()

    async def submit(self, item: T) -> A:
        """The answer for `item`. Cancelling the caller leaves the items of others as they are.

        An item whose caller was cancelled before it was sent is not written.
        """
        if self._is_writing or self._is_crowded:
            future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
            self._waiting.append((item, future))
            if not self._is_writing:
                self._start()
            return await future
        self._is_writing = True
        try:
            (answer,) = await self._write((item,))
        finally:
            if self._waiting:
                self._start()
            else:
                self._rest()
        return answer

    async def close(self) -> None:
        """Return when everything submitted has been written."""
        while self._is_writing:
            self._idle.clear()
            await self._idle.wait()

    def _start(self) -> None:
        self._is_writing = True
        self._task = start(self._flush(), "aiojobs:batch")

    def _rest(self) -> None:
        self._is_writing = False
        self._idle.set()

    async def _flush(self) -> None:
        try:
            while waiting := [each for each in self._waiting if not each[1].done()]:
                batch, self._waiting = waiting[: self._limit], waiting[self._limit :]
                self._is_crowded = len(batch) > 1
                await self._send(batch)
            self._waiting = []
        finally:
            self._rest()

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
