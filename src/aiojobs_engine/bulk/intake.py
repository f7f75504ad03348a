"""What users pass as a source, checked at the edge and stored once: a path, an open file, rows."""

import os
import stat
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import anyio.lowlevel
import anyio.to_thread
from anyio import CancelScope

from aiojobs_engine.bulk.sources import Form, JsonLines
from aiojobs_engine.bulk.sources.bounds import Bounds, Readable
from aiojobs_engine.bulk.sources.opening import Blocks, Declared, Found, Prepared, prepared
from aiojobs_engine.core.codec import encode_json
from aiojobs_engine.core.config import LimitSettings
from aiojobs_engine.core.errors import PayloadError, SourceError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.storage import Storage

_ROWS_A_BLOCK = 250


Row = Mapping[str, Any]
Source = str | os.PathLike[str] | Readable | Iterable[Row] | AsyncIterable[Row]
CheckColumns = Callable[[Sequence[str] | None], None]


class Stored(NamedTuple):
    """A source in the storage."""

    name: str
    size: int
    form: Form
    label: str
    found: Found


def bounds_of(limits: LimitSettings) -> Bounds:
    """The bounds of sources in `[limits]`."""
    return Bounds(
        limits.record_bytes,
        limits.columns,
        limits.inflated_bytes,
        limits.inflation,
        limits.workbook_bytes,
    )


class Place(NamedTuple):
    """Where a source is stored: for the job `owner`, until an instant unless it is told to keep it."""

    storage: Storage
    owner: str
    until: Instant

    async def put(self, blocks: AsyncIterator[bytes]) -> str:
        """Store the blocks; the name."""
        await self.storage.keep_until(self.owner, self.until)
        try:
            return await self.storage.put(self.owner, blocks)
        except BaseException:
            with CancelScope(shield=True):
                await self.storage.keep(self.owner)
            raise


async def store_source(
    place: Place, source: Source, declared: Declared, bounds: Bounds, check: CheckColumns
) -> Stored:
    """Store what `source` gives, only when `check` takes its columns.

    `check` gets None where each row names its own columns.

    Raises:
        SourceError: there is no such file, it is none to read rows from, or `check` refuses its columns.
        ConfigError: its format needs an extra that is not installed.
    """
    if is_file(source):
        async with opened_source(source, declared, bounds, check) as (made, label):
            sized = _Sized(_stream(made.blocks))
            name = await place.put(aiter(sized))
        return Stored(name, sized.size, made.form, label, made.found)
    rows = _portions(cast("object", source))
    check(None)
    sized = _Sized(_encoded(rows, bounds))
    name = await place.put(aiter(sized))
    return Stored(name, sized.size, JsonLines(0, bounds.record_bytes), "", Found(format="rows"))


def is_file(source: object) -> bool:
    """Whether `source` is a path or an open file, and no iterable of rows."""
    return isinstance(source, str | os.PathLike) or hasattr(source, "read")


@asynccontextmanager
async def opened_source(
    source: Source, declared: Declared, bounds: Bounds, check: Callable[[Sequence[str]], None]
) -> AsyncGenerator[tuple[Prepared, str]]:
    """A path or an open file, ready to be stored, and its name without directories.

    Raises:
        SourceError, ConfigError: as in `store_source`.
    """
    if isinstance(source, str | os.PathLike):
        name, is_path = os.fspath(source), True
        file: Readable = await anyio.to_thread.run_sync(_opened, Path(source))
    else:
        given = getattr(source, "name", "")
        name, is_path = given if isinstance(given, str) else "", False
        file = cast("Readable", source)
    try:
        call = partial(prepared, file, name, declared, bounds, check, is_whole=is_path)
        made = await anyio.to_thread.run_sync(call)
        try:
            yield made, Path(name).name
        finally:
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(made.blocks.close)
    finally:
        if is_path:
            cast("BinaryIO", file).close()


def _opened(path: Path) -> BinaryIO:
    try:
        # O_NONBLOCK: opening a FIFO would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise SourceError(f"there is no file {str(path)!r}", argument="source") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"the file {str(path)!r} can't be opened: {error}", argument="source") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{str(path)!r} is no regular file", argument="source")
    return os.fdopen(descriptor, "rb")


async def _stream(blocks: Blocks) -> AsyncIterator[bytes]:
    while block := await anyio.to_thread.run_sync(blocks.next):
        yield block


class _Sized:
    """Blocks, and how many bytes they were."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._blocks:
            self.size += len(block)
            yield block


def _portions(source: object) -> AsyncIterator[list[Row]]:
    """Rows by up to 250.

    Raises:
        SourceError: `source` gives no rows.
    """
    if isinstance(source, AsyncIterable):
        return _portions_later(cast("AsyncIterable[Row]", source))
    if isinstance(source, bytes | bytearray | Mapping) or not isinstance(source, Iterable):
        raise SourceError(
            f"{source!r:.80} is no source; pass a path, an open binary file, or an iterable of mappings",
            argument="source",
        )
    return _portions_now(cast("Iterable[Row]", source))


async def _portions_later(source: AsyncIterable[Row]) -> AsyncIterator[list[Row]]:
    portion: list[Row] = []
    async for row in source:
        portion.append(row)
        if len(portion) == _ROWS_A_BLOCK:
            yield portion
            portion = []
    yield portion


async def _portions_now(source: Iterable[Row]) -> AsyncIterator[list[Row]]:
    rows = iter(source)
    while portion := list(islice(rows, _ROWS_A_BLOCK)):
        yield portion
        await anyio.lowlevel.checkpoint()


async def _encoded(portions: AsyncIterator[list[Row]], bounds: Bounds) -> AsyncIterator[bytes]:
    number = 0
    async for portion in portions:
        lines: list[bytes] = []
        for row in portion:
            number += 1
            lines += (_line(row, number, bounds), b"\n")
        yield b"".join(lines)


def _line(row: object, number: int, bounds: Bounds) -> bytes:
    try:
        line = encode_json(row, f"row {number:,}")
    except PayloadError as error:
        raise SourceError(str(error), argument="source", index=number - 1) from error
    problem = None
    if not line.startswith(b"{"):
        problem = f"is no mapping but {type(row).__qualname__}"
    elif len(line) > bounds.record_bytes:
        problem = f"is longer than {bounds.record_bytes:,} bytes (limits.record_bytes)"
    elif isinstance(row, Mapping) and len(cast("Row", row)) > bounds.columns:
        count = len(cast("Row", row))
        problem = f"has {count:,} columns, at most {bounds.columns:,} can be (limits.columns)"
    if problem is not None:
        raise SourceError(f"row {number:,} {problem}", argument="source", index=number - 1)
    return line
