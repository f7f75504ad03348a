"""Excel workbooks with one sheet, written row by row."""

import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from math import isfinite
from typing import Any

from aiojobs_engine.bulk.columns import Cells, Columns, harmless
from aiojobs_engine.bulk.sinks.pages import encode_page, pages
from aiojobs_engine.bulk.sinks.sink import Encoded
from aiojobs_engine.core.errors import ConfigError, ExportError

ROWS = 1_048_576
COLUMNS = 16_384
TEXT = 32_767
_DIGITS = 15  # that a float holds for sure
_WHOLE = 10**_DIGITS
_BLOCK = 1024 * 1024
_DATES = {"date": "yyyy-mm-dd", "instant": "yyyy-mm-dd hh:mm:ss"}


class Excel:
    """Rows as a sheet: numbers and dates are cells of their kind, all else is text.

    Numbers that a spreadsheet can't hold exactly (of more than 15 digits) and instants with a time zone are
    text. A text that may be a formula gets `'` before it, but in the columns that allow formulas.
    """

    def __init__(self, columns: Columns) -> None:
        """Write the labels of `columns` as the first row.

        Raises:
            ConfigError: the extra `excel` is not installed, or a sheet has not so many columns.
        """
        _workbook_class()
        if len(columns.labels) > COLUMNS:
            raise ConfigError(f"a sheet has {COLUMNS:,} columns, the export {len(columns.labels):,}")
        self._columns = columns

    def encode(self, cells: list[Cells], first: int) -> bytes:
        """A page of rows.

        Raises:
            ExportError: a value can't be written; the error names its row.
        """
        return encode_page(cells, first)

    def blocks(self, encoded: Encoded) -> Iterator[bytes]:
        """The whole workbook.

        Raises:
            ExportError: there are more rows than a sheet has, or a text is longer than a cell.
        """
        with tempfile.TemporaryFile(prefix="aiojobs-") as file:
            options = {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
            book = _workbook_class()(file, options)
            try:
                yield from self._written(book, encoded)
            finally:
                book.close()
            file.seek(0)
            while block := file.read(_BLOCK):
                yield block

    def _written(self, book: Any, encoded: Encoded) -> Iterator[bytes]:
        sheet = book.add_worksheet()
        formats = {kind: book.add_format({"num_format": text}) for kind, text in _DATES.items()}
        sheet.freeze_panes(1, 0)
        for position, label in enumerate(self._columns.labels):
            sheet.write_string(0, position, harmless(label))
        number = 0
        for page in pages(encoded):
            for row in page:
                number += 1
                if number >= ROWS:
                    raise ExportError(f"a sheet of .xlsx holds {ROWS:,} rows; export as .csv or .parquet")
                for position, value in enumerate(row):
                    self._write(sheet, formats, number, position, value)
            yield b""

    def _write(self, sheet: Any, formats: dict[str, Any], number: int, position: int, value: Any) -> None:
        match value:
            case None:
                return
            case bool():
                sheet.write_boolean(number, position, value)
            case str() if position in self._columns.formulas and value.startswith("="):
                sheet.write_formula(number, position, value)
            case int() if abs(value) < _WHOLE:
                sheet.write_number(number, position, value)
            case float() | Decimal() if _is_exact(value):
                sheet.write_number(number, position, float(value))
            case datetime() if value.tzinfo is None and value.year >= 1900:  # noqa: PLR2004 - days count from there
                sheet.write_datetime(number, position, value, formats["instant"])
            case date() if not isinstance(value, datetime) and value.year >= 1900:  # noqa: PLR2004 - the same
                sheet.write_datetime(number, position, value, formats["date"])
            case _:
                self._write_text(sheet, number, position, value)

    def _write_text(self, sheet: Any, number: int, position: int, value: Any) -> None:
        text = value.isoformat() if isinstance(value, date) else str(value)
        if isinstance(value, str) and position not in self._columns.formulas:
            text = harmless(text)
        if len(text) > TEXT:
            raise ExportError(
                f"row {number:,} has a text of {len(text):,} characters in column "
                f"{self._columns.labels[position]!r}; a cell of .xlsx holds {TEXT:,}"
            )
        sheet.write_string(number, position, text)


def _is_exact(value: float | Decimal) -> bool:
    if not isfinite(value):
        return False
    return not isinstance(value, Decimal) or len(value.as_tuple().digits) <= _DIGITS


def _workbook_class() -> Any:
    try:
        return import_module("xlsxwriter").Workbook
    except ImportError:
        raise ConfigError(
            "an .xlsx file needs the extra 'excel': pip install 'aiojobs-engine[excel]'"
        ) from None
