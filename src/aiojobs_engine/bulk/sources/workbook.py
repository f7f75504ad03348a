"""XLSX workbooks: checked before they are unfolded, and read by a process that they can't take along."""

import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from struct import Struct
from typing import BinaryIO, cast

from aiojobs_engine.bulk.sources import sheet_reader
from aiojobs_engine.bulk.sources.bounds import MOST_UNCHECKED, Bounds
from aiojobs_engine.core.errors import ConfigError, SourceError

_BLOCK = 64 * 1024
_MOST_PARTS = 10_000
_LEAST_MEMORY = 1024 * 1024 * 1024
_MEMORY = 8  # bytes in memory for each byte of a part
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_LOCAL_HEADER = Struct("<26x2H")
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")
_OVERLAP = 16


def sheet_text(file: BinaryIO, sheet: str | None, bounds: Bounds) -> Generator[bytes]:
    """A sheet, the first one by default, as blocks of CSV in UTF-8.

    Raises:
        SourceError: it is no workbook, it unfolds to more than it may, or it has no such sheet.
        ConfigError: the extra that reads workbooks is not installed.
    """
    found = find_spec("python_calamine")
    if found is None or found.origin is None:
        raise ConfigError('XLSX needs an extra: pip install "aiojobs-engine[excel]"')
    _check_parts(file, bounds)
    file.seek(0)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    memory = max(_LEAST_MEMORY, _MEMORY * bounds.workbook_bytes)
    library = str(Path(found.origin).parent.parent)
    command = [sys.executable, "-P", sheet_reader.__file__, library, str(memory), sheet or ""]
    with subprocess.Popen(  # noqa: S603 - the program is part of this package
        command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as reader:
        output, complaints = cast("BinaryIO", reader.stdout), cast("BinaryIO", reader.stderr)
        try:
            while block := output.read(_BLOCK):
                yield block
            said = complaints.read(_BLOCK).decode("utf-8", "replace").strip()
            code = reader.wait()
        finally:
            reader.kill()
    if code == sheet_reader.WRONG:
        raise SourceError(said, argument="source")
    if code:
        raise SourceError(
            f"the workbook can't be read within {memory:,} bytes of memory; save the sheet as CSV",
            argument="source",
        )


def _check_parts(file: BinaryIO, bounds: Bounds) -> None:
    """Refuse a workbook by its directory, and again by what its parts really unfold to."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"the source is no workbook: {error}", argument="source") from error
    if not any(part.filename.endswith("workbook.xml") for part in parts):
        raise SourceError(
            "the source is a ZIP archive, but no XLSX workbook; unpack it first", argument="source"
        )
    if len(parts) > _MOST_PARTS or any(part.flag_bits & 1 for part in parts):
        raise SourceError("the workbook is encrypted or has too many parts", argument="source")
    _check_total(sum(part.file_size for part in parts), file, bounds)
    total = 0
    for part in parts:
        is_markup = part.filename.lower().endswith((".xml", ".rels"))
        tail = b""
        for piece in _unfolded(file, part):
            total += len(piece)
            _check_total(total, file, bounds)
            if is_markup:
                if any(word in tail + piece for word in _DECLARATIONS):
                    raise SourceError("the workbook declares entities of its own", argument="source")
                tail = piece[-_OVERLAP:]


def _check_total(total: int, file: BinaryIO, bounds: Bounds) -> None:
    size = os.fstat(file.fileno()).st_size
    if total > max(MOST_UNCHECKED, bounds.inflation * size):
        raise SourceError(
            f"the workbook unfolds to more than {bounds.inflation:,} times its size (limits.inflation)",
            argument="source",
        )
    if total > bounds.workbook_bytes:
        raise SourceError(
            f"the workbook unfolds to more than {bounds.workbook_bytes:,} bytes (limits.workbook_bytes); "
            "save the sheet as CSV",
            argument="source",
        )


def _unfolded(file: BinaryIO, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """What the bytes of a part unfold to, whatever size its directory claims."""
    if part.compress_type not in (_STORED, _DEFLATED):
        raise SourceError("the workbook is compressed in a way that workbooks are not", argument="source")
    file.seek(part.header_offset)
    names = file.read(_LOCAL_HEADER.size)
    if len(names) < _LOCAL_HEADER.size:
        raise SourceError("the workbook is cut off", argument="source")
    left = part.compress_size
    file.seek(sum(_LOCAL_HEADER.unpack(names)), os.SEEK_CUR)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while left > 0 and (data := file.read(min(left, _BLOCK))):
        left -= len(data)
        if part.compress_type == _STORED:
            yield data
            continue
        while data and not inflate.eof:
            try:
                yield inflate.decompress(data, _BLOCK)
            except zlib.error as error:
                raise SourceError(f"the workbook is broken: {error}", argument="source") from error
            data = inflate.unconsumed_tail
