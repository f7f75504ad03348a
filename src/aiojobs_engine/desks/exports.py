"""`engine.exports`: the files that exports left in the storage."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio.to_thread

from aiojobs_engine.bulk import exported
from aiojobs_engine.bulk.exported import ExportedFile
from aiojobs_engine.core.status import UserId
from aiojobs_engine.lifetime.session import OpenSession


class ExportsDesk:
    """Exported files by their opaque ids, which `handle.result()` tells.

    `user_id` says whose file it must be; without one anybody's will do, so pass it wherever an id comes from
    outside.
    """

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    async def get(self, file_id: str, *, user_id: UserId | None = None) -> ExportedFile:
        """What is known of a file.

        Raises:
            ExportNotFound: it is not kept: it never was, has expired, was removed, or is somebody else's.
        """
        session = self._open()
        kept = await exported.found(session.storage, file_id, session.clock.now(), user_id)
        return kept.file

    @asynccontextmanager
    async def open(self, file_id: str, *, user_id: UserId | None = None) -> AsyncGenerator[Path]:
        """The path of a local file with the content, for reading only.

        Raises:
            ExportNotFound: as in `get`.
        """
        session = self._open()
        kept = await exported.found(session.storage, file_id, session.clock.now(), user_id)
        async with exported.opened(session.storage, kept) as path:
            yield path

    async def save(
        self, file_id: str, to: str | os.PathLike[str], *, user_id: UserId | None = None
    ) -> ExportedFile:
        """Copy a file to a path of this machine, in place of what is there.

        Raises:
            ExportNotFound: as in `get`.
            OSError: the path can't be written to.
        """
        async with self.open(file_id, user_id=user_id) as path:
            await anyio.to_thread.run_sync(partial(shutil.copyfile, path, to))
        return await self.get(file_id, user_id=user_id)

    async def remove(self, file_id: str, *, user_id: UserId | None = None) -> None:
        """Let go of a file now.

        Raises:
            ExportNotFound: as in `get`.
        """
        session = self._open()
        await exported.found(session.storage, file_id, session.clock.now(), user_id)
        await exported.removed(session.storage, file_id)
