"""Doing something meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio.lowlevel import checkpoint

T = TypeVar("T")


def begin(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.get_running_loop().create_task(work)


async def until(fact: Callable[[], object]) -> None:
    while not fact():
        await checkpoint()
