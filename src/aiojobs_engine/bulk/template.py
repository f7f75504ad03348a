"""An empty file with the columns of an importer, to be filled in."""

import csv
import io
from collections.abc import Sequence
from typing import Any, Literal

from aiojobs_engine.core.errors import ConfigError

TemplateFormat = Literal["csv", "tsv", "xlsx"]


def template(fields: Sequence[str], format: TemplateFormat, owner: str) -> bytes:
    """A file that holds a header of `fields` and nothing else.

    Raises:
        ConfigError: there are no fields, the format is no such one, or its extra is not installed; `owner`
            says whose fields they are.
    """
    if not fields:
        raise ConfigError(f"{owner}: its row type takes any columns, so there is no template")
    if format == "xlsx":
        return _workbook(fields)
    if format not in ("csv", "tsv"):
        raise ConfigError(f"{owner}: a template is csv, tsv or xlsx, not {format!r}")
    out = io.StringIO(newline="")
    csv.writer(out, delimiter="\t" if format == "tsv" else ",").writerow(fields)
    return out.getvalue().encode()


def _workbook(fields: Sequence[str]) -> bytes:
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError('XLSX needs an extra: pip install "aiojobs-engine[excel]"') from None
    out = io.BytesIO()
    book: Any
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        heading = book.add_format({"bold": True})
        text = book.add_format({"num_format": "@"})  # so that a spreadsheet keeps leading zeros
        for place, field in enumerate(fields):
            sheet.set_column(place, place, max(12, len(field) + 2), text)
            sheet.write_string(0, place, field, heading)
        sheet.freeze_panes(1, 0)
    return out.getvalue()
