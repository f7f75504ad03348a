"""The storages of an engine: one for all jobs, or others for some kinds and types."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.options import layered
from aiojobs_engine.ports.storage import Storage, StoredJobs
from aiojobs_engine.runtime.registry import JobType

MakeStorage = Callable[[str, str], Storage]
"""The storage of a driver and a path."""

Types = Mapping[str, JobType[..., object]]


class ConfiguredStorages:
    """What is read or removed is found wherever it lies; what is put goes where the settings say."""

    def __init__(self, settings: Settings, types: Types, make: MakeStorage) -> None:
        """Make each storage that the settings name once; `types` are those of the engine, now or later.

        Raises:
            ConfigError: `make` knows no such driver.
        """
        self._settings = settings
        self._types = types
        self._make = make
        self._made: dict[tuple[str, str], Storage] = {}
        self._of: dict[tuple[str, str], Storage] = {}
        self._main = self.of("", "")
        levels = [*settings.kinds.values(), *settings.jobs.values()]
        self._is_one = all(level.storage is None for level in levels)
        self._all()

    def of(self, type: str, kind: str) -> Storage:
        """Where jobs of this type and kind put what they have."""
        if (type, kind) not in self._of:
            found = layered(self._settings, "storage", type, kind)
            place = (found.driver, found.path)
            if place not in self._made:
                self._made[place] = self._make(*place)
            self._of[type, kind] = self._made[place]
        return self._of[type, kind]

    async def put(self, owner: str, blocks: AsyncIterator[bytes]) -> str:
        """Store bytes in the global storage."""
        return await self._main.put(owner, blocks)

    @asynccontextmanager
    async def open(self, name: str) -> AsyncGenerator[Path]:
        """The path of the content, in the storage that has it.

        Raises:
            ConfigError: the name is none of the global storage, and no other one has it.
        """
        for storage in self._all():
            if storage is not self._main:
                try:
                    async with storage.open(name) as path:
                        if await anyio.to_thread.run_sync(path.is_file):
                            yield path
                            return
                except ConfigError:
                    continue  # a name that only another driver makes
        async with self._main.open(name) as path:
            yield path

    async def remove(self, name: str) -> None:
        """Remove the content from all of them."""
        for storage in self._all():
            await storage.remove(name)

    async def keep_until(self, owner: str, until: Instant) -> None:
        """Let the global storage remove what the owner has, at an instant."""
        await self._main.keep_until(owner, until)

    async def keep(self, owner: str) -> None:
        """Take `keep_until` back in all of them."""
        for storage in self._all():
            await storage.keep(owner)

    async def expire(self, now: Instant, stored: StoredJobs) -> int:
        """Remove from all of them what is past its time; how many owners."""
        return sum([await storage.expire(now, stored) for storage in self._all()])

    def _all(self) -> Collection[Storage]:
        if not self._is_one:
            for job_type in list(self._types.values()):
                self.of(job_type.name, job_type.kind)
            for kind in self._settings.kinds:
                self.of("", kind)
            for name, section in self._settings.jobs.items():
                if name not in self._types:  # jobs whose code is elsewhere
                    self.of(name, section.kind or "import")
        return list(self._made.values())


def one_storage(storage: Storage) -> ConfiguredStorages:
    """The same storage for all jobs."""

    def made(driver: str, path: str) -> Storage:
        del driver, path
        return storage

    return ConfiguredStorages(Settings(), {}, made)
