"""From an open file to text that can be stored and read at any place: what it is, and its blocks.

Compression and binary formats are told by their content, text formats by the name of the file, and where that
says nothing by the content too; what is declared wins.
"""

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import BinaryIO, Literal, NamedTuple, cast

import msgspec

from aiojobs_engine.bulk.sources.bounds import Bounds, Readable
from aiojobs_engine.bulk.sources.compression import SUFFIXES as COMPRESSED
from aiojobs_engine.bulk.sources.compression import Inflated, compression_of
from aiojobs_engine.bulk.sources.delimited import Delimited
from aiojobs_engine.bulk.sources.detection import HEAD_BYTES, CheckColumns, detect
from aiojobs_engine.bulk.sources.encoding import UTF8, UTF8_BOM, AsUtf8, encoding_of
from aiojobs_engine.bulk.sources.json_array import array_lines
from aiojobs_engine.bulk.sources.json_lines import JsonLines, columns_of
from aiojobs_engine.bulk.sources.parquet import ParquetRows
from aiojobs_engine.bulk.sources.workbook import sheet_text
from aiojobs_engine.core.errors import SourceError

Format = Literal["csv", "tsv", "json", "jsonl", "xlsx", "parquet"]
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tab": "tsv",
    ".tsv": "tsv",
    ".txt": "csv",
    ".xlsm": "xlsx",
    ".xlsx": "xlsx",
}
_MAGIC: dict[bytes, Format] = {b"PK\x03\x04": "xlsx", b"PAR1": "parquet"}
_FOREIGN = {
    b"%PDF": "PDF",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Office file",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_BINARY = ("xlsx", "parquet")
_BLOCK = 1024 * 1024
_COLUMNS_SHOWN = 8


class Declared(NamedTuple):
    """What an importer says of its sources, None where they may say it themselves."""

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    sheet: str | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a source was taken for.

    Attributes:
        format: `csv`, `tsv`, `json`, `jsonl`, `xlsx`, `parquet`, or `rows` for an iterable.
        compression: `gzip`, `zstd` or None.
        encoding: that of a text, None for others.
        delimiter: that of delimited text, None for others.
        columns: in the order of the source; of JSON those of its beginning, of iterables none.
    """

    format: str
    compression: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a line for people."""
        words = [self.format.upper() if self.format != "rows" else "rows"]
        if self.compression is not None:
            words.append(self.compression)
        if self.encoding is not None:
            words.append(self.encoding)
        if self.delimiter is not None:
            words.append(f"delimiter {self.delimiter!r}")
        if self.columns:
            more = len(self.columns) - _COLUMNS_SHOWN
            names = ", ".join(self.columns[:_COLUMNS_SHOWN])
            words.append(f"{len(self.columns):,} columns: {names}{' ...' if more > 0 else ''}")
        return ", ".join(words)


class Prepared(NamedTuple):
    """A source that is ready to be stored.

    Attributes:
        head: the beginning of what `blocks` give.
        blocks: all of the text to store; close them in any case. Blocking.
    """

    form: Delimited | JsonLines
    found: Found
    head: bytes
    blocks: "Blocks"


def prepared(
    file: Readable,
    name: str,
    declared: Declared,
    bounds: Bounds,
    check: CheckColumns,
    *,
    is_whole: bool = False,
) -> Prepared:
    """Find out what `file` is, and prepare its rows; blocking, as the blocks are.

    Args:
        name: that of the file, which may tell the format.
        is_whole: `file` is a regular one, at its beginning.

    Raises:
        SourceError: it can't be imported, or `check` refuses its columns.
        ConfigError: its format needs an extra that is not installed.
    """
    reader: Readable = _Checked(file)
    head, reader = _peeked(reader)
    compression = compression_of(head)
    if compression is not None:
        head, reader = _peeked(Inflated(reader, compression, bounds))
        if compression_of(head) is not None:
            raise SourceError("the source is compressed twice", argument="source")
    kind = declared.format or _format_of(head, name)
    if kind in _BINARY:
        if declared.format is None:
            _check_magic(head, kind)
        made = _from_workbook if kind == "xlsx" else _from_parquet
        if is_whole and compression is None:
            return made(cast("BinaryIO", file), compression, declared, bounds, check)
        with ExitStack() as on_error:
            copy = on_error.enter_context(cast("BinaryIO", TemporaryFile()))  # noqa: SIM115 - the blocks close it
            _fill(copy, reader, bounds)
            found = made(copy, compression, declared, bounds, check)
            found.blocks.owns(copy)
            on_error.pop_all()
            return found
    return _from_text(kind, head, reader, compression, declared, bounds, check)


def _format_of(head: bytes, name: str) -> Format:
    for magic, words in _FOREIGN.items():
        if head.startswith(magic):
            raise SourceError(
                f"the source is {words}; save it as CSV, JSON, XLSX or Parquet", argument="source"
            )
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    path = PurePath(name.lower())
    suffix = PurePath(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if suffix and not head.strip():
        raise _unknown(name)
    text = head.removeprefix(UTF8_BOM).lstrip()
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        return "jsonl"
    if suffix:
        raise _unknown(name)
    return "csv"


def _unknown(name: str) -> SourceError:
    known = ", ".join(_SUFFIXES)
    return SourceError(
        f"{PurePath(name).name!r} has no suffix that tells its format; they are {known}, "
        f"with {' or '.join(COMPRESSED)} after them; or declare format= at the importer",
        argument="source",
    )


def _check_magic(head: bytes, kind: str) -> None:
    if not any(head.startswith(magic) for magic, of in _MAGIC.items() if of == kind):
        raise SourceError(
            f"the source is named like {kind.upper()}, but its content is something else", argument="source"
        )


def _from_text(
    kind: str,
    head: bytes,
    reader: Readable,
    compression: str | None,
    declared: Declared,
    bounds: Bounds,
    check: CheckColumns,
) -> Prepared:
    encoding = declared.encoding or encoding_of(head)
    if encoding != UTF8:
        reader = AsUtf8(reader, encoding)
        head, reader = _peeked(reader)
    form: Delimited | JsonLines
    if kind in ("csv", "tsv"):
        delimiter = declared.delimiter or ("\t" if kind == "tsv" else None)
        form, columns = detect(
            head, bounds, check, delimiter=delimiter, columns=declared.header, encoding=encoding
        )
        return Prepared(
            form,
            Found(
                format=kind,
                compression=compression,
                encoding=encoding,
                delimiter=form.delimiter,
                columns=tuple(columns),
            ),
            head,
            Blocks(_blocks(reader)),
        )
    blocks = Blocks(_blocks(reader))
    start = len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0
    if kind == "json" and not columns_of(head[start:].lstrip().partition(b"\n")[0]):
        head, blocks = _first_blocks(array_lines(reader, bounds))
        start = 0
    columns = columns_of(head[start:])
    if columns:
        check(columns)
    elif not head[start:].strip():
        raise SourceError("the source is empty: it has no rows", argument="source")
    form = JsonLines(start, bounds.record_bytes)
    found = Found(format=kind, compression=compression, encoding=encoding, columns=tuple(columns))
    return Prepared(form, found, head, blocks)


def _from_workbook(
    file: BinaryIO, compression: str | None, declared: Declared, bounds: Bounds, check: CheckColumns
) -> Prepared:
    head, blocks = _first_blocks(sheet_text(file, declared.sheet, bounds), HEAD_BYTES)
    try:
        form, columns = detect(head, bounds, check, delimiter=",", columns=declared.header)
    except BaseException:
        blocks.close()
        raise
    form = msgspec.structs.replace(form, has_dates=True)
    return Prepared(form, Found(format="xlsx", compression=compression, columns=tuple(columns)), head, blocks)


def _from_parquet(
    file: BinaryIO, compression: str | None, declared: Declared, bounds: Bounds, check: CheckColumns
) -> Prepared:
    del declared
    rows = ParquetRows(file, bounds)
    check(rows.columns)
    head, blocks = _first_blocks(rows.lines())
    found = Found(format="parquet", compression=compression, columns=tuple(rows.columns))
    return Prepared(JsonLines(0, bounds.record_bytes), found, head, blocks)


def _fill(copy: BinaryIO, reader: Readable, bounds: Bounds) -> None:
    size = 0
    while data := reader.read(_BLOCK):
        size += len(data)
        if size > bounds.inflated_bytes:
            raise SourceError(
                f"the source has more than {bounds.inflated_bytes:,} bytes (limits.inflated_bytes)",
                argument="source",
            )
        copy.write(data)
    copy.flush()
    copy.seek(0)


def _blocks(reader: Readable) -> Generator[bytes]:
    yield from iter(partial(reader.read, _BLOCK), b"")


def _first_blocks(blocks: Generator[bytes], size: int = 1) -> tuple[bytes, "Blocks"]:
    """The first blocks, of `size` bytes or more where there are as many, and all of them."""
    first: list[bytes] = []
    while sum(map(len, first)) < size and (block := next(blocks, b"")):
        first.append(block)
    return b"".join(first), Blocks(blocks, first)


class Blocks:
    """Bytes by the block; `close` lets go of what they come from."""

    def __init__(self, blocks: Generator[bytes], first: Sequence[bytes] = ()) -> None:
        """Give `first` before `blocks`."""
        self._blocks = blocks
        self._all = chain(filter(None, first), blocks)
        self._file: BinaryIO | None = None

    def owns(self, file: BinaryIO) -> None:
        """Close `file` together with the blocks."""
        self._file = file

    def next(self) -> bytes:
        """The next block, empty at the end."""
        return next(self._all, b"")

    def close(self) -> None:
        """Stop; may be repeated."""
        self._blocks.close()
        if self._file is not None:
            self._file.close()


def _peeked(reader: Readable) -> tuple[bytes, Readable]:
    """The first `HEAD_BYTES`, and a file that begins with them."""
    head = b""
    while len(head) < HEAD_BYTES and (more := reader.read(HEAD_BYTES - len(head))):
        head += more
    return head, _Joined(head, reader)


class _Joined:
    """A file to read that begins with bytes which were read before."""

    def __init__(self, head: bytes, file: Readable) -> None:
        self._head = head
        self._file = file

    def read(self, size: int, /) -> bytes:
        data, self._head = self._head[:size], self._head[size:]
        return data or self._file.read(size)


class _Checked:
    """A file of the user, whose faults are errors of the source."""

    def __init__(self, file: Readable) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        try:
            data = cast("object", self._file.read(size))
        except (OSError, ValueError) as error:
            raise SourceError(f"the source can't be read: {error}", argument="source") from error
        if not isinstance(data, bytes):
            raise SourceError(
                f"the source gives {type(data).__qualname__} instead of bytes; open it in binary mode",
                argument="source",
            )
        return data
