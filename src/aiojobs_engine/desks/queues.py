"""`engine.queues`: looking at queues, and stopping and emptying them."""

from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.state import QUEUED
from aiojobs_engine.desks.jobs import removed
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.listing import Listing, whole
from aiojobs_engine.ports.inspector import JobFilter, QueueStats


class QueuesDesk:
    """Queues by name; one is there as soon as a job was dispatched to it, or it was paused."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[QueueStats]:
        """All queues with their counts, by name."""

        async def read() -> list[QueueStats]:
            return await self._open().store.queues()

        return whole(read, lambda queue: queue.name, limit, cursor)

    async def stats(self, name: str) -> QueueStats:
        """One queue.

        Raises:
            ConfigError: no queue has this name; the error names the nearest.
        """
        queues = {queue.name: queue for queue in await self._open().store.queues()}
        if name not in queues:
            raise ConfigError(f"there is no queue {name!r:.80}{did_you_mean(str(name), queues)}")
        return queues[name]

    async def pause(self, name: str) -> None:
        """Let no more jobs of the queue start; running ones go on. A name that is new is fine."""
        await self._open().store.pause_queue(checked_name(name, "a queue"))

    async def resume(self, name: str) -> None:
        """Let jobs of the queue start again."""
        await self._open().store.resume_queue(checked_name(name, "a queue"))

    async def purge(self, name: str) -> int:
        """Remove the jobs of the queue that wait to start; how many. Chunks stay with their bulk jobs."""
        which = JobFilter(queue=checked_name(name, "a queue"), status=tuple(sorted(QUEUED)))
        return await removed(self._open(), which)
