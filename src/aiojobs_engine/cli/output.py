"""What people and programs read. Data goes to standard output, all else to standard error."""

import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import cast

import click
import msgspec

from aiojobs_engine.core.limits import DEPTH, one_line
from aiojobs_engine.core.masking import Masker, masker_of

_GAP = "  "
_KILO = 1000
_DEPTH = DEPTH + 8
_ITEMS = 10**9
_BUILT_IN = masker_of()

_masker: ContextVar[Masker] = ContextVar("aiojobs_engine_masker")


def mask_by(masker: Masker) -> None:
    """Show no secrets of these settings from now on; those of the built-in rules are never shown."""
    _masker.set(masker)


def print_json(value: object) -> None:
    """One JSON value on standard output, indented, without secrets."""
    click.echo(msgspec.json.format(json_line(value), indent=2))


def print_schemas(value: object) -> None:
    """The same for what describes data and holds none, as it is."""
    click.echo(msgspec.json.format(msgspec.json.encode(value).decode(), indent=2))


def json_line(value: object) -> str:
    """One JSON value as a line, without secrets."""
    encoded = msgspec.json.encode(value, enc_hook=str)
    return msgspec.json.encode(_masker.get(_BUILT_IN).encoded(encoded, depth=_DEPTH, items=_ITEMS)).decode()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Rows under their columns; `empty` goes to standard error when there are none."""
    if not rows:
        note(empty)
        return
    cells = [[shown(value) for value in row] for row in rows]
    if is_terminal() and _has_rich():
        _print_rich(columns, cells)
    else:
        click.echo("\n".join(table_lines(columns, cells)))


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of aligned columns under a heading."""
    heading = [column.upper() for column in columns]
    widths = [max(len(row[place]) for row in [heading, *rows]) for place in range(len(columns))]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heading, *rows]
    ]


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Names and values, one a line, without those that are None or empty."""
    told = [(name, shown(value)) for name, value in facts if value not in (None, "", (), {})]
    width = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        click.echo(f"{name.ljust(width)}  {value}")


def note(message: str) -> None:
    """A line on standard error, without secrets."""
    click.echo(_masker.get(_BUILT_IN).text(message), err=True)


def shown(value: object) -> str:
    """A value as one line without secrets and control characters; instants are UTC to the second."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.1f}"
        case int():
            return f"{value:,}"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case tuple() | list():
            return ", ".join(shown(item) for item in cast("Sequence[object]", value))
        case _:
            return one_line(_masker.get(_BUILT_IN).text(str(value)))


def duration(seconds: float | None) -> str:
    """`4s`, `3m12s`, `2h05m`; `-` for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def size_of(count: int) -> str:
    """`812 bytes`, `1.2 kB`, `45.0 MB`."""
    if count < _KILO:
        return f"{count} bytes"
    size, unit = count / _KILO, "kB"
    for larger in ("MB", "GB"):
        if size >= _KILO:
            size, unit = size / _KILO, larger
    return f"{size:,.1f} {unit}"


def is_terminal(*, is_error: bool = False) -> bool:
    """Whether a person watches standard output (or standard error)."""
    stream = sys.stderr if is_error else sys.stdout
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour() -> bool:
    """Whether colours are wanted: `NO_COLOR` says no."""
    return not os.environ.get("NO_COLOR")


def _has_rich() -> bool:
    return find_spec("rich") is not None


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
