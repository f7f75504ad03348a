"""Where the rows of bulk jobs lie: beside the queue, never in it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """Files under opaque names that every worker can read."""

    async def put(self, chunks: AsyncIterator[bytes]) -> str:
        """Store bytes under a new name, whole or not at all; the name."""
        ...

    def open(self, name: str) -> AbstractAsyncContextManager[Path]:
        """A local, seekable file with the content, for reading.

        Raises:
            ConfigError: the name is none of this storage, or its content is gone.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove the content; unknown names are fine."""
        ...
