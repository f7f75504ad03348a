"""Listings on the command line: how many items, from where, and whether there are more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click

from aiojobs_engine.cli.opening import opened, run
from aiojobs_engine.cli.output import note, print_json, print_table
from aiojobs_engine.engine import Engine
from aiojobs_engine.listing import LARGEST_PAGE, Listing

T = TypeVar("T")

_SHOWN = 50


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--limit`, `--all` and `--cursor`."""
    for option in (
        click.option("--cursor", help="Go on where a listing stopped."),
        click.option("--all", "every", is_flag=True, help="All of them."),
        click.option(
            "--limit",
            "-n",
            type=click.IntRange(min=1),
            default=_SHOWN,
            show_default=True,
            help="At most so many.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Short(Generic[T]):
    """A listing that is always shown as a whole: how to read it, and its table.

    Attributes:
        to_json: prints the items for `--json`.
    """

    read: Callable[[Engine], Listing[T]]
    columns: Sequence[str]
    row: Callable[[T], Sequence[object]]
    empty: str
    to_json: Callable[[list[T]], None] = print_json

    def show(self, target: str | None, url: str | None, *, as_json: bool) -> list[T]:
        """Print all items; what they are."""

        async def work() -> list[T]:
            async with opened(target, url) as engine:
                return [item async for item in self.read(engine)]

        items = run(work)
        if as_json:
            self.to_json(items)
        else:
            print_table(self.columns, [self.row(item) for item in items], empty=self.empty)
        return items


async def gathered(
    read: Callable[[int, str | None], Listing[T]],
    limit: int | None,
    cursor: str | None,
    *,
    wanted: Callable[[T], bool] | None = None,
) -> tuple[list[T], str | None]:
    """At most `limit` items after the cursor (None: all), and the cursor of the next, None at the end.

    `read` makes a listing of a limit and a cursor; only `wanted` items count.
    """
    items: list[T] = []
    while True:
        page = await read(LARGEST_PAGE if limit is None else min(LARGEST_PAGE, limit - len(items)), cursor)
        items += page.items if wanted is None else filter(wanted, page.items)
        cursor = page.next_cursor
        if cursor is None or (limit is not None and len(items) >= limit):
            return items, cursor


def many_more(items: Sequence[object], cursor: str | None) -> None:
    """Say that a listing was cut."""
    if cursor is not None:
        note(f"the first {len(items):,} are shown; more with --all, --limit N or --cursor {cursor}")
