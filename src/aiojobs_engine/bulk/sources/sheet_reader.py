"""A program of its own: reads a workbook from standard input, and writes a sheet of it as CSV in UTF-8.

It runs apart because a workbook unfolds in memory as a whole, and what a hostile one makes of it must not
cost the process that wants its rows. Its arguments are the directory of python-calamine, the bytes of memory
it may take, and the name of the sheet, empty for the first one. It imports nothing of the engine.
"""

import contextlib
import csv
import datetime as dt
import io
import sys
from typing import Any

EXACT = 2**53
WRONG = 3


def main() -> int:
    """Write the sheet; 3 with a message on standard error when the workbook can't be read."""
    directory, memory, name = sys.argv[1:4]
    sys.path.append(directory)
    bound(int(memory))
    import python_calamine as calamine  # noqa: PLC0415 - the path to it is an argument

    try:
        book = calamine.CalamineWorkbook.from_filelike(sys.stdin.buffer)
        names = book.sheet_names
        if name and name not in names:
            return wrong(f"the workbook has no sheet {name!r}; its sheets are {', '.join(map(repr, names))}")
        if not names:
            return wrong("the workbook has no sheets")
        rows = book.get_sheet_by_name(name or names[0]).iter_rows()
    except (calamine.CalamineError, OSError, ValueError) as error:
        return wrong(f"the workbook can't be read: {error}")
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        cells = [text_of(cell) for cell in row]
        if any(cells):
            writer.writerow(cells)
        else:
            out.write("\n")
    out.flush()
    return 0


def text_of(cell: Any) -> str:
    """A cell as text: whole numbers without a fraction, dates and times as ISO 8601."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < EXACT else repr(cell)
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    return str(cell)


def bound(memory: int) -> None:
    """Take no more memory than this, where the system knows such a bound."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not every system has it

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def wrong(message: str) -> int:
    """Say what is wrong."""
    sys.stderr.write(message)
    return WRONG


if __name__ == "__main__":
    sys.exit(main())
