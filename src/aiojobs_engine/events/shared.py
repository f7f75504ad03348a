"""One look at the store for all followers of a process that stand at the same place."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from aiojobs_engine.core.events import StoredEvent
from aiojobs_engine.ports.stream import EventStream

Batch = tuple[Sequence[StoredEvent], str]

_KEPT = 16
_T = TypeVar("_T")


class SharedStream:
    """Reads and waits of the stream, shared: a thousand followers cost the store no more than one.

    What was read stays for those who come to the same place a little later, 16 batches of it.
    """

    def __init__(self, stream: EventStream) -> None:
        """Read `stream`."""
        self._stream = stream
        self._recent: OrderedDict[tuple[str | None, int], Batch] = OrderedDict()
        self._under_way: dict[tuple[Any, ...], asyncio.Task[Any]] = {}

    async def read(self, after: str | None, limit: int) -> Batch:
        """As `EventStream.read`; the events are shared."""
        key = (after, limit)
        known = self._recent.get(key)
        if known is None:
            known = await self._together(("read", *key), self._stream.read(after, limit))
        if known[0]:
            self._recent[key] = known
            while len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return known

    async def tail(self) -> str:
        """As `EventStream.tail`."""
        return await self._stream.tail()

    async def wait_events(self, after: str, timeout: float) -> None:
        """As `EventStream.wait_events`; those who wait at one place share the timeout of the first."""
        await self._together(("wait", after), self._stream.wait_events(after, timeout))

    async def close(self) -> None:
        """End what is under way; nobody may read any more."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _together(self, key: tuple[Any, ...], call: Coroutine[Any, Any, _T]) -> _T:
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(call, name=f"aiojobs:stream-{key[0]}")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        else:
            call.close()
        try:
            answer: _T = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled() or (current := asyncio.current_task()) is None or current.cancelling():
                raise
            answer = await self._again(key)
        return answer

    async def _again(self, key: tuple[Any, ...]) -> Any:
        """The store itself answers those whose shared look was ended under them."""
        if key[0] == "read":
            return await self._stream.read(key[1], key[2])
        return await self._stream.tail()
