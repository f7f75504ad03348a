"""One JSON object per line, in UTF-8."""

from collections.abc import Iterator

import msgspec

from aiojobs_engine.bulk.columns import Cells, Columns, plain
from aiojobs_engine.bulk.sinks.sink import Encoded, row_of_fault
from aiojobs_engine.core.errors import ExportError


class JsonLines:
    """Rows as objects; numbers stay numbers, and None is null."""

    def __init__(self, columns: Columns) -> None:
        """Name the values by the labels of `columns`."""
        self._labels = columns.labels
        self._encoder = msgspec.json.Encoder(enc_hook=plain)

    def encode(self, cells: list[Cells], first: int) -> bytes:
        """The lines of a page.

        Raises:
            ExportError: a value is nothing that JSON has.
        """
        labels = self._labels
        try:
            return self._encoder.encode_lines([dict(zip(labels, row, strict=True)) for row in cells])
        except Exception as error:  # a class of the user may raise anything
            number, reason = row_of_fault(cells, first, self._encoder.encode)
            raise ExportError(f"row {number:,} can't be written: {reason}") from error

    def blocks(self, encoded: Encoded) -> Iterator[bytes]:
        """All lines."""
        yield from encoded()
