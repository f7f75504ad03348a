"""The default storage: a directory on this machine, or one that all workers share."""

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import anyio.to_thread

from aiojobs_engine.core.errors import BackendFull, ConfigError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.ports.storage import StoredJobs

_NAME = re.compile(r"([A-Za-z0-9_.:\-]{1,128})/([0-9a-f]{32})")
_PREFIX = "job-"  # so that no id means another directory: "..", ".hidden"
_PART = ".part"
_EXPIRING = "expiring"
_MARK = re.compile(r"(\d{16})\.([A-Za-z0-9_.:\-]{1,128})")

P = ParamSpec("P")
T = TypeVar("T")


class LocalStorage:
    """Content lies at `path/job-ID/DIGEST`: what a job owns is one directory, and removed as one.

    An empty file `path/expiring/MILLISECONDS.OWNER` says until when an owner keeps what it has.

    A file appears under its name when all of it is on disk (written apart, fsync, rename, fsync). The
    directory is made at the first `put`, for its owner alone; to share it with other users, make it yourself.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Keep everything under `path`."""
        self._root = Path(path)

    async def put(self, owner: str, blocks: AsyncIterator[bytes]) -> str:
        """Store bytes for the job `owner`, whole or not at all; the name holds a digest of the content.

        Raises:
            BackendFull: the disk is full.
            ConfigError: the directory can't be made or written to.
        """
        directory = self._root / (_PREFIX + checked_name(owner, "the owner of stored rows"))
        part, file = await self._in_thread(_begin, directory)
        digest = hashlib.blake2b(digest_size=16)
        try:
            with file:
                async for block in blocks:
                    digest.update(block)
                    await self._in_thread(file.write, block)
                await self._in_thread(_sync, file)
            await self._in_thread(_publish, part, directory / digest.hexdigest())
        except BaseException:
            _discard(part)
            raise
        return f"{owner}/{digest.hexdigest()}"

    @asynccontextmanager
    async def open(self, name: str) -> AsyncGenerator[Path]:
        """The file itself; it is not to be changed. Opening the path fails when the content is gone.

        Raises:
            ConfigError: the name is none of this storage.
        """
        yield self._path(name)

    async def remove(self, name: str) -> None:
        """Remove the content of a name, or all that a job owns, by its id; unknown ones are fine."""
        if "/" not in name:
            directory = self._root / (_PREFIX + checked_name(name, "the owner of stored rows"))
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(directory, ignore_errors=True))
            await self.keep(name)
            return
        await anyio.to_thread.run_sync(_remove_file, self._path(name))

    async def keep_until(self, owner: str, until: Instant) -> None:
        """Let `expire` remove all that `owner` has, once `until` is reached; the first call counts.

        Raises:
            BackendFull: the disk is full.
            ConfigError: the directory can't be made or written to.
        """
        checked_name(owner, "the owner of stored rows")
        await self._in_thread(_mark, self._root / _EXPIRING, f"{until:016d}.{owner}")

    async def keep(self, owner: str) -> None:
        """Take `keep_until` back; fine when there was none."""
        await self._in_thread(
            _unmark, self._root / _EXPIRING, checked_name(owner, "the owner of stored rows")
        )

    async def expire(self, now: Instant, stored: StoredJobs) -> int:
        """Remove what was kept until an instant that `now` has reached; how many owners that were.

        Those that `stored` names keep what they have, and are asked for again the next time.
        """
        expired = await anyio.to_thread.run_sync(_expired, self._root / _EXPIRING, now)
        jobs = await stored([owner for _, owner in expired]) if expired else ()
        gone = [(mark, owner) for mark, owner in expired if owner not in jobs]
        for mark, owner in gone:
            await self.remove(owner)
            await anyio.to_thread.run_sync(partial(mark.unlink, missing_ok=True))
        return len(gone)

    def _path(self, name: str) -> Path:
        found = _NAME.fullmatch(name)
        if found is None:
            raise ConfigError(f"{name!r:.80} is no name of this storage")
        return self._root / (_PREFIX + found.group(1)) / found.group(2)

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise BackendFull(f"no room for rows in {str(self._root)!r}: {error.strerror}") from error
            raise ConfigError(f"storage.path {str(self._root)!r} can't be written to: {error}") from error


def _begin(directory: Path) -> tuple[Path, BinaryIO]:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(exist_ok=True)
    part = directory / (secrets.token_hex(8) + _PART)
    return part, part.open("xb")


def _mark(directory: Path, name: str) -> None:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(exist_ok=True)
    (directory / name).touch()


def _unmark(directory: Path, owner: str) -> None:
    if directory.exists():
        for mark in directory.iterdir():
            if mark.name.endswith(f".{owner}") and _MARK.fullmatch(mark.name):
                mark.unlink(missing_ok=True)


def _expired(directory: Path, now: Instant) -> list[tuple[Path, str]]:
    try:
        names = [path.name for path in directory.iterdir()]
    except FileNotFoundError:
        return []
    found = (_MARK.fullmatch(name) for name in names)
    return [(directory / mark.group(), mark.group(2)) for mark in found if mark and int(mark.group(1)) <= now]


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _publish(part: Path, path: Path) -> None:
    part.replace(path)
    for directory in (path.parent, path.parent.parent):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_empty(path.parent)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _remove_empty(part.parent)


def _remove_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return  # another put of the same job is under way, or others removed it first
