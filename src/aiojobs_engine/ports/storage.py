"""Where the rows and files of bulk jobs lie: beside the queue, never in it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from aiojobs_engine.core.instant import Instant

StoredJobs = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Says which of some owners are jobs that the store has."""


class Storage(Protocol):
    """Files that every worker can read, each owned by a job. Names are opaque and made here."""

    async def put(self, owner: str, blocks: AsyncIterator[bytes]) -> str:
        """Store bytes for the job `owner`, whole or not at all; the name.

        The same content of the same owner has the same name, so a put may be repeated.

        Raises:
            BackendFull: there is no room.
        """
        ...

    def open(self, name: str) -> AbstractAsyncContextManager[Path]:
        """The path of a local, seekable file with the content, for reading; no file when the content is gone.

        Raises:
            ConfigError: the name is none of this storage.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove the content of a name, or all that a job owns, by its id; unknown ones are fine."""
        ...

    async def keep_until(self, owner: str, until: Instant) -> None:
        """Let `expire` remove all that `owner` has, once `until` is reached; the first call counts.

        It may come before the first `put`, so that nothing stays for ever when the caller dies between them.
        """
        ...

    async def keep(self, owner: str) -> None:
        """Take `keep_until` back; fine when there was none."""
        ...

    async def expire(self, now: Instant, stored: StoredJobs) -> int:
        """Remove what was kept until an instant that `now` has reached; how many owners that were.

        Those that `stored` names keep what they have, and are asked for again the next time.
        """
        ...


class Storages(Storage, Protocol):
    """All storages of an engine: what is read or removed is found in any, a put is for the main one."""

    def of(self, type: str, kind: str) -> Storage:
        """Where jobs of this type and kind put what they have."""
        ...
