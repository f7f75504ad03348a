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
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import anyio.lowlevel
import anyio.to_thread

from aiojobs_engine.bulk.sources import Form, JsonLines
from aiojobs_engine.bulk.sources.detection import HEAD_BYTES, detect
from aiojobs_engine.bulk.sources.lines import RECORD_BYTES
from aiojobs_engine.bulk.sources.records import COLUMNS
from aiojobs_engine.core.codec import encode_json
from aiojobs_engine.core.errors import ConfigError, PayloadError, SourceError
from aiojobs_engine.ports.storage import Storage

_DELIMITERS = {".csv": None, ".tsv": "\t", ".txt": None, "": None}
_BLOCK = 1024 * 1024
_ROWS_A_BLOCK = 250


class Readable(Protocol):
    """A binary file, open for reading."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        ...


Row = Mapping[str, Any]
Source = str | os.PathLike[str] | Readable | Iterable[Row] | AsyncIterable[Row]
CheckColumns = Callable[[Sequence[str] | None], None]


class Stored(NamedTuple):
    """A source in the storage."""

    name: str
    size: int
    form: Form
    label: str


async def store_source(
    storage: Storage, owner: str, source: Source, delimiter: str | None, check: CheckColumns
) -> Stored:
    """Store what `source` gives, for the job `owner`; only when `check` takes its columns.

    `check` gets None where each row names its own columns.

    Raises:
        SourceError: there is no such file, it is none to read rows from, or `check` refuses its columns.
        ConfigError: this release can't read the format.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        declared = delimiter or _declared(path)
        async with _open_path(path) as file:
            return await _store_file(storage, owner, file, declared, check, path.name)
    if hasattr(source, "read"):
        name = getattr(source, "name", "")
        label = Path(name).name if isinstance(name, str) else ""
        return await _store_file(storage, owner, cast("Readable", source), delimiter, check, label)
    rows = _portions(cast("object", source))
    check(None)
    sized = _Sized(_encoded(rows))
    name = await storage.put(owner, aiter(sized))
    return Stored(name, sized.size, JsonLines(), "")


def _declared(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix not in _DELIMITERS:
        raise ConfigError(
            f"{path.name!r}: this release imports no {suffix} files, but .csv and .tsv files, "
            "open binary files with CSV, and iterables of mappings"
        )
    return _DELIMITERS[suffix]


@asynccontextmanager
async def _open_path(path: Path) -> AsyncGenerator[BinaryIO]:
    file = await anyio.to_thread.run_sync(_opened, path)
    try:
        yield file
    finally:
        await anyio.to_thread.run_sync(file.close)


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


async def _store_file(
    storage: Storage, owner: str, file: Readable, delimiter: str | None, check: CheckColumns, label: str
) -> Stored:
    head = await anyio.to_thread.run_sync(_read_head, file)
    form, columns = detect(head, delimiter)
    check(columns)
    sized = _Sized(_blocks(head, file))
    name = await storage.put(owner, aiter(sized))
    return Stored(name, sized.size, form, label)


def _read_head(file: Readable) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (more := _read(file, HEAD_BYTES - len(head))):
        head += more
    return head


def _read(file: Readable, size: int) -> bytes:
    try:
        data = cast("object", file.read(size))
    except (OSError, ValueError) as error:
        raise SourceError(f"the source can't be read: {error}", argument="source") from error
    if not isinstance(data, bytes):
        raise SourceError(
            f"the source gives {type(data).__qualname__} instead of bytes; open it in binary mode",
            argument="source",
        )
    return data


async def _blocks(head: bytes, file: Readable) -> AsyncIterator[bytes]:
    block = head
    while block:
        yield block
        block = await anyio.to_thread.run_sync(partial(_read, file, _BLOCK))


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


async def _encoded(portions: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    number = 0
    async for portion in portions:
        lines: list[bytes] = []
        for row in portion:
            number += 1
            lines += (_line(row, number), b"\n")
        yield b"".join(lines)


def _line(row: object, number: int) -> bytes:
    try:
        line = encode_json(row, f"row {number:,}")
    except PayloadError as error:
        raise SourceError(str(error), argument="source", index=number - 1) from error
    problem = None
    if not line.startswith(b"{"):
        problem = f"is no mapping but {type(row).__qualname__}"
    elif len(line) > RECORD_BYTES:
        problem = f"is longer than {RECORD_BYTES:,} bytes"
    elif isinstance(row, Mapping) and len(cast("Row", row)) > COLUMNS:
        problem = f"has {len(cast('Row', row)):,} columns, at most {COLUMNS:,} can be"
    if problem is not None:
        raise SourceError(f"row {number:,} {problem}", argument="source", index=number - 1)
    return line
