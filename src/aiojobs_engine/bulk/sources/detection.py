"""What a file of rows looks like, found on its beginning; what is declared wins."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from aiojobs_engine.bulk.sources.delimited import Delimited, csv_reader, header_of
from aiojobs_engine.bulk.sources.lines import RECORD_BYTES
from aiojobs_engine.bulk.sources.records import COLUMNS
from aiojobs_engine.core.errors import SourceError

HEAD_BYTES = RECORD_BYTES

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_RECORDS = 50
_HEADER_LINES = 1000
_WRONG_LINES = 3  # with fewer lines that are no UTF-8, or less than this share of them, some rows are broken,
_WRONG_SHARE = 0.05  # else the file has another encoding
_UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "XLSX or ZIP"),
    (b"PAR1", "Parquet"),
    (b"%PDF", "PDF"),
)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def detect(head: bytes, delimiter: str | None = None) -> tuple[Delimited, list[str]]:
    """The form of delimited text that begins with `head`, and the names of its columns.

    Args:
        head: the first `HEAD_BYTES`, or the whole file when it is shorter.
        delimiter: what the importer declares; None finds it.

    Raises:
        SourceError: it is empty, no text in UTF-8, or its header can't be used.
    """
    _check_is_text(head)
    start = len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0
    found = delimiter or _delimiter(head[start:])
    body = start + _header_length(head[start:], found)
    header = header_of(head[start:body], found)
    _check_header(header)
    return Delimited(found, start, body), header


def _check_is_text(head: bytes) -> None:
    if not head.strip(_UTF8_BOM + b" \t\r\n"):
        raise SourceError("the source is empty: it has no header and no rows", argument="source")
    for magic, name in _MAGIC:
        if head.startswith(magic):
            raise SourceError(f"the source looks like {name}; this release imports CSV", argument="source")
    for bom, name in _OTHER_BOMS:
        if head.startswith(bom):
            raise SourceError(f"the source is {name}; save it as CSV in UTF-8", argument="source")
    if head.count(b"\0") * 4 > len(head):
        raise SourceError("the source is UTF-16 or no text; save it as CSV in UTF-8", argument="source")
    if b"\n" not in head and b"\r" in head:
        raise SourceError(
            "the source ends its lines with CR alone; save it as CSV with LF or CRLF line ends",
            argument="source",
        )
    if _is_other_encoding(head):
        raise SourceError(
            "the source is no UTF-8 (cp1252, perhaps); save it as CSV in UTF-8", argument="source"
        )


def _is_other_encoding(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3 or _MULTIBYTE.search(head):
            return False
        lines = head.splitlines()
        wrong = sum(not line.isascii() for line in lines)
        return wrong >= _WRONG_LINES and wrong > _WRONG_SHARE * len(lines)
    return False


def _delimiter(head: bytes) -> str:
    """The delimiter that makes the most records as wide as the header; of several, that of the widest."""
    text = head[: 64 * 1024].decode("latin-1")
    best, best_score = ",", (0.0, 1)
    for delimiter in _DELIMITERS:
        try:
            records = [
                row
                for row in islice(csv_reader(io.StringIO(text, newline=""), delimiter), _SAMPLE_RECORDS)
                if row
            ]
        except csv.Error:
            continue
        if not records or len(records[0]) == 1:
            continue
        width = len(records[0])
        same = sum(len(row) == width for row in records) / len(records)
        if (round(same, 1), width) > best_score:
            best, best_score = delimiter, (round(same, 1), width)
    return best


def _header_length(head: bytes, delimiter: str) -> int:
    """Bytes up to the end of the first record that is no empty line."""
    lines = list(islice(io.StringIO(head.decode("latin-1"), newline=""), _HEADER_LINES))
    given: list[str] = []

    def counted() -> Iterator[str]:
        for line in lines:
            given.append(line)
            yield line

    try:
        next(filter(None, csv_reader(counted(), delimiter)), None)
    except csv.Error as error:
        raise SourceError(f"the header can't be read: {error}", argument="source") from error
    length = sum(map(len, given))
    if length >= HEAD_BYTES or len(given) == _HEADER_LINES:
        raise SourceError(
            f"no header ends within {HEAD_BYTES:,} bytes and {_HEADER_LINES:,} lines", argument="source"
        )
    return length


def _check_header(header: list[str]) -> None:
    if len(header) > COLUMNS:
        raise SourceError(
            f"the source has {len(header):,} columns, at most {COLUMNS:,} can be", argument="source"
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise SourceError(
            f"the header names {', '.join(map(repr, twice[:5]))} twice; give each column its own name",
            argument="source",
        )
