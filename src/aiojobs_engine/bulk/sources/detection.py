"""What delimited text looks like, found on its beginning; what is declared wins."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from aiojobs_engine.bulk.sources.bounds import Bounds
from aiojobs_engine.bulk.sources.delimited import Delimited, header_of
from aiojobs_engine.bulk.sources.delimited_scan import csv_reader
from aiojobs_engine.bulk.sources.encoding import UTF8, UTF8_BOM
from aiojobs_engine.core.errors import SourceError

HEAD_BYTES = 1024 * 1024

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_RECORDS = 50
_HEADER_LINES = 1000
_HEADERS_TRIED = 20

CheckColumns = Callable[[Sequence[str]], None]


def detect(
    head: bytes,
    bounds: Bounds,
    check: CheckColumns,
    *,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = UTF8,
) -> tuple[Delimited, Sequence[str]]:
    """The form of delimited text in UTF-8 that begins with `head`, and the names of its columns.

    The header is the first record whose columns `check` takes, among the first 20; when none is, the first
    record, so that its columns are what the error speaks of.

    Args:
        head: the first `HEAD_BYTES`, or the whole file when it is shorter.
        delimiter: what is declared; None finds it.
        columns: those of a file without a header.
        encoding: what the text was in.

    Raises:
        SourceError: it is empty, or its header can't be used.
    """
    start = len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0
    text = head[start:]
    if not text.strip(b" \t\r\n"):
        raise SourceError("the source is empty: it has no header and no rows", argument="source")
    if b"\n" not in text and b"\r" in text:
        raise SourceError(
            "the source ends its lines with CR alone; save it with LF or CRLF line ends", argument="source"
        )
    found = delimiter or _delimiter(text)
    if columns is not None:
        check(columns)
        return Delimited(found, start, start, tuple(columns), bounds.record_bytes, encoding), columns
    problem: SourceError | None = None
    for begin, end in _headers(text, found):
        try:
            header = header_of(text[begin:end], found)
            _check_header(header, bounds)
        except SourceError as error:
            raise problem or error from error
        try:
            check(header)
        except SourceError as error:
            problem = problem or error
            continue
        return Delimited(found, start + begin, start + end, None, bounds.record_bytes, encoding), header
    raise problem or _no_header()


def _delimiter(head: bytes) -> str:
    """The delimiter that makes the most records equally wide; of several, the widest ones."""
    text = head[:_SAMPLE_BYTES].decode("latin-1")
    best, best_score = ",", (0.0, 1)
    for delimiter in _DELIMITERS:
        try:
            records = list(
                islice(filter(None, csv_reader(io.StringIO(text, newline=""), delimiter)), _SAMPLE_RECORDS)
            )
        except csv.Error:
            continue
        widths = Counter(len(row) for row in records if len(row) > 1)
        if widths:
            (width, count) = max(widths.items(), key=lambda pair: (pair[1], pair[0]))
            score = (round(count / len(records), 1), width)
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _headers(head: bytes, delimiter: str) -> Iterator[tuple[int, int]]:
    """Where the first records begin and end, without empty lines.

    Raises:
        SourceError: the first one can't be read, or doesn't end within `head`.
    """
    lines = list(islice(io.StringIO(head.decode("latin-1"), newline=""), _HEADER_LINES))
    given: list[int] = []

    def counted() -> Iterator[str]:
        for line in lines:
            given.append(len(line))
            yield line

    records = csv_reader(counted(), delimiter)
    begin = tried = 0
    while tried < _HEADERS_TRIED:
        try:
            record = next(records, None)
        except csv.Error as error:
            if tried:
                return
            raise SourceError(f"the header can't be read: {error}", argument="source") from error
        if record is None:
            return
        end = sum(given)
        if end >= HEAD_BYTES or len(given) == _HEADER_LINES:
            if tried:
                return
            raise _no_header()
        if record:
            yield begin, end
            tried += 1
        begin = end


def _no_header() -> SourceError:
    return SourceError(
        f"no header ends within {HEAD_BYTES:,} bytes and {_HEADER_LINES:,} lines", argument="source"
    )


def _check_header(header: Sequence[str], bounds: Bounds) -> None:
    if len(header) > bounds.columns:
        raise SourceError(
            f"the source has {len(header):,} columns, at most {bounds.columns:,} can be (limits.columns)",
            argument="source",
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise SourceError(
            f"the header names {', '.join(map(repr, twice[:5]))} twice; give each column its own name",
            argument="source",
        )
