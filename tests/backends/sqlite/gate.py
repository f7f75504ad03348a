"""A gate in the writer's way, and tasks that wait behind it."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from threading import Event
from typing import Any, TypeVar

_T = TypeVar("_T")


class Gate:
    """Stops the writer's thread before a statement that begins with `at`, until it is opened again.

    The thread waits inside SQLite: the connection must not be touched from elsewhere meanwhile.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._reached = Event()
        self._open = Event()

    def close(self, at: str) -> None:
        self._reached.clear()
        self._open.clear()
        self._connection.set_trace_callback(lambda text: self._stop() if text.startswith(at) else None)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 10), "the writer never came"

    def open(self) -> None:
        self._open.set()

    def _stop(self) -> None:
        if not self._open.is_set():
            self._reached.set()
            self._open.wait(30)


def start(work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
    return asyncio.get_running_loop().create_task(work)
