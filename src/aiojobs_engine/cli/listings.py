"""Listings on the command line: how many items, from where, and whether there are more."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from aiojobs_engine.cli.output import note
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
