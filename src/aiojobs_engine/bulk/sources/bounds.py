"""How large a source, its records and what unfolds from it may be."""

from typing import NamedTuple, Protocol

MOST_UNCHECKED = 16 * 1024 * 1024
"""Bytes that may unfold from anything, however few they came from."""


class Readable(Protocol):
    """A binary file, open for reading."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        ...


class Bounds(NamedTuple):
    """The bounds of `[limits]` that are about sources.

    Attributes:
        record_bytes: of one row.
        columns: of one row.
        inflated_bytes: of a compressed source, when it is unfolded.
        inflation: how many bytes may unfold from one, beyond the first 16 MiB.
        workbook_bytes: of all parts of a workbook, when they are unfolded.
    """

    record_bytes: int
    columns: int
    inflated_bytes: int
    inflation: int
    workbook_bytes: int
