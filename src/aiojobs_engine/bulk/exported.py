"""The files that exports leave: what is told about them, and how they are found again by an opaque id."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio.to_thread
import msgspec

from aiojobs_engine.core.errors import ConfigError, ExportNotFound
from aiojobs_engine.core.instant import Instant, instant
from aiojobs_engine.core.status import UserId
from aiojobs_engine.ports.storage import Storage

_OWNER = "export-"


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file of an export, and the result of its job.

    Attributes:
        name: a file's name without a directory, to offer to people.
        size: bytes.
        sha256: of the content, in hex.
        path: where the worker put it, None when it is in the storage only.
        id: by which `engine.exports` finds it in the storage, None when it is not there. Nobody can guess it.
        expires_at: when the storage lets go of it, None for a permanent one.
    """

    name: str
    rows: int
    size: int
    media_type: str
    sha256: str
    path: str | None = None
    id: str | None = None
    expires_at: datetime | None = None


class KeptFile(msgspec.Struct, frozen=True, kw_only=True):
    """An exported file in the storage: its record stands there too, so that it outlives its job.

    Attributes:
        content: the name of the file itself in the storage.
    """

    file: ExportedFile
    content: str
    job_id: str
    type: str
    user_id: UserId | None


def new_owner() -> str:
    """What owns a file in the storage: 128 bits of chance."""
    return _OWNER + secrets.token_hex(16)


async def keep(storage: Storage, owner: str, kept: KeptFile) -> ExportedFile:
    """The file with the id by which it is found from now on."""

    async def record() -> AsyncIterator[bytes]:
        yield msgspec.json.encode(kept)

    name = await storage.put(owner, record())
    return msgspec.structs.replace(kept.file, id=name.replace("/", "."))


async def found(storage: Storage, file_id: str, now: Instant, user_id: UserId | None) -> KeptFile:
    """What is kept under an id; `user_id` is whose it must be, None for anybody's.

    Raises:
        ExportNotFound: nothing is, it is past its time, or it is somebody else's.
    """
    owner, _, digest = file_id.rpartition(".")
    if not owner.startswith(_OWNER):
        raise ExportNotFound(file_id)
    try:
        async with storage.open(f"{owner}/{digest}") as path:
            kept = msgspec.json.decode(await anyio.to_thread.run_sync(path.read_bytes), type=KeptFile)
    except (OSError, ConfigError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ExportNotFound(file_id) from error
    expires_at = kept.file.expires_at
    if expires_at is not None and instant(expires_at) <= now:
        raise ExportNotFound(file_id)
    if user_id is not None and str(kept.user_id) != str(user_id):
        raise ExportNotFound(file_id)
    return msgspec.structs.replace(kept, file=msgspec.structs.replace(kept.file, id=file_id))


@asynccontextmanager
async def opened(storage: Storage, kept: KeptFile) -> AsyncGenerator[Path]:
    """The path of a local file with the content, for reading.

    Raises:
        ExportNotFound: it was removed meanwhile.
    """
    async with storage.open(kept.content) as path:
        if not path.is_file():
            raise ExportNotFound(kept.file.id or "")
        yield path


async def removed(storage: Storage, file_id: str) -> None:
    """Let go of a file; unknown ones are fine."""
    owner, _, _ = file_id.rpartition(".")
    if owner.startswith(_OWNER):
        await storage.remove(owner)
