"""CSV and TSV in UTF-8: lines end with CR LF, as spreadsheets write them."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from aiojobs_engine.bulk.columns import Cells, Columns, harmless, texts
from aiojobs_engine.bulk.sinks.sink import Encoded, row_of_fault
from aiojobs_engine.core.errors import ExportError

# where another delimiter splits the line, what follows would begin a cell; quotes keep it in its own
_BEHIND_OTHER = re.compile("[;\t,|][\"'\\s]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
_OTHERS = (";", "\t", "|", ",")


class Delimited:
    """Rows as lines of text."""

    def __init__(self, columns: Columns, delimiter: str) -> None:
        """Part the cells by `delimiter`."""
        self._columns = columns
        self._delimiter = delimiter
        self._others = tuple(other for other in _OTHERS if other != delimiter)

    def encode(self, cells: list[Cells], first: int) -> bytes:
        """The lines of a page.

        Raises:
            ExportError: a value can't be written, like a text with lone surrogates; the error names its row.
        """
        try:
            shown = texts(cells, self._columns.formulas)
            text = self._lines(shown)
            if any(other in text for other in self._others) and _BEHIND_OTHER.search(text):
                text = self._careful_lines(shown)
            return text.encode()
        except Exception as error:  # a class of the user may raise anything
            number, reason = row_of_fault(cells, first, self._line)
            raise ExportError(f"row {number:,} can't be written: {reason}") from error

    def blocks(self, encoded: Encoded) -> Iterator[bytes]:
        """The header, and all lines."""
        yield self._lines([tuple(map(harmless, self._columns.labels))]).encode()
        yield from encoded()

    def _line(self, row: Cells) -> bytes:
        return self._lines(texts([row], self._columns.formulas)).encode()

    def _lines(self, rows: list[Cells]) -> str:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=self._delimiter).writerows(rows)
        return buffer.getvalue()

    def _careful_lines(self, rows: list[Cells]) -> str:
        buffer = io.StringIO(newline="")
        usual = csv.writer(buffer, delimiter=self._delimiter)
        quoted = csv.writer(buffer, delimiter=self._delimiter, quoting=csv.QUOTE_ALL)
        for row in rows:
            (quoted if any(map(_hides_formula, row)) else usual).writerow(row)
        return buffer.getvalue()


def _hides_formula(cell: Any) -> bool:
    return isinstance(cell, str) and _BEHIND_OTHER.search(cell) is not None
