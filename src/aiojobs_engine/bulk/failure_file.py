"""Failed rows as a file to mend and import again: what stood in the source, and three columns of why."""

import re
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import anyio.to_thread

from aiojobs_engine.bulk.columns import Cells, Columns, original
from aiojobs_engine.bulk.sinks import Format, Sink, sink_of
from aiojobs_engine.bulk.sinks.compression import compressed
from aiojobs_engine.bulk.sources.records import RawRows, TableRows
from aiojobs_engine.core.status import JobFailure

MARKS = ("_row", "_field", "_error")
"""The columns that say where a row stood, which field is wrong, and why; an import passes them over."""

_MARKED = frozenset(MARKS)
_NEGATIVE = re.compile(r"-(0|[1-9]\d{0,12})(\.\d{1,6})?", re.ASCII)  # so short that it comes back as it was
_PAGE = 1000
_READ = 1024 * 1024
_NAMELESS = "column 0"

Failures = Callable[[], AsyncIterable[JobFailure]]
Write = Callable[[bytes], object]


async def write_failures(failures: Failures, form: Format, write: Write) -> int:
    """Write the failed rows, which are read twice: once for their columns; how many there are.

    Raises:
        ConfigError: the form needs an extra that is not installed.
        ExportError: the form can't hold so much.
    """
    columns: dict[str, None] = {}
    async for failure in failures():
        columns.update(dict.fromkeys(failure.payload))
    names = [name for name in columns if name not in _MARKED]
    sink = sink_of(form, Columns([*(name or _NAMELESS for name in names), *MARKS], (), "failed rows"))
    with tempfile.TemporaryFile(prefix="aiojobs-") as pages:
        count = await _encoded(failures(), names, sink, pages)
        blocks = compressed(sink.blocks(lambda: _read(pages)), form.compression)
        while (block := await anyio.to_thread.run_sync(next, blocks, None)) is not None:
            await anyio.to_thread.run_sync(write, block)
    return count


def unmarked(raw: RawRows) -> RawRows:
    """Rows as they stood in their first source, when they come from such a file; all others as they are."""
    if isinstance(raw, TableRows):
        return raw.without_columns(_MARKED, original) if raw.columns.keys() >= _MARKED else raw
    is_marked = bool(raw.numbers) and raw.original(0).keys() >= _MARKED
    return raw.without_columns(_MARKED) if is_marked else raw


async def _encoded(failures: AsyncIterable[JobFailure], names: list[str], sink: Sink, pages: BinaryIO) -> int:
    count = 0
    async for cells in _pages(failures, names):
        pages.write(sink.encode(cells, count + 1))
        count += len(cells)
    return count


async def _pages(failures: AsyncIterable[JobFailure], names: list[str]) -> AsyncIterator[list[Cells]]:
    page: list[Cells] = []
    async for failure in failures:
        payload = failure.payload
        page.append(
            (
                *(_shown(payload.get(name)) for name in names),
                failure.row_number,
                failure.field,
                failure.message,
            )
        )
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _shown(value: Any) -> Any:
    """A cell; one with a negative number is a number, which no spreadsheet takes for a formula."""
    return Decimal(value) if isinstance(value, str) and _NEGATIVE.fullmatch(value) else value


def _read(pages: BinaryIO) -> Iterator[bytes]:
    pages.seek(0)
    while block := pages.read(_READ):
        yield block
