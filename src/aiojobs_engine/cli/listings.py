"""Listings on the command line: how many items, from where, and whether there are more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, NamedTuple, TypeVar

import click

from aiojobs_engine.cli.opening import opened, run
from aiojobs_engine.cli.output import note, print_json, print_table
from aiojobs_engine.engine import Engine
from aiojobs_engine.listing import LARGEST_PAGE, Listing

T = TypeVar("T")

_SHOWN = 50


class Page(NamedTuple):
    """Which part of a listing: at most `limit` items (None: all), after the cursor."""

    limit: int | None
    cursor: str | None


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--limit`, `--all` and `--cursor`, which become the parameter `page`."""

    @wraps(command)
    def paged(*args: Any, limit: int, every: bool, cursor: str | None, **options: Any) -> Any:
        return command(*args, page=Page(None if every else limit, cursor), **options)

    made: Callable[..., Any] = paged
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
        made = option(made)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[T]):
    """How a listing is shown.

    Attributes:
        empty: what is said instead of a table without rows.
        to_json: prints the items for `--json`.
    """

    columns: Sequence[str]
    row: Callable[[T], Sequence[object]]
    empty: str
    to_json: Callable[[list[T]], None] = print_json

    def show(
        self, read: Callable[[Engine], Listing[T]], target: str | None, url: str | None, *, as_json: bool
    ) -> list[T]:
        """Print all items; what they are."""

        async def work() -> list[T]:
            async with opened(target, url) as engine:
                return [item async for item in read(engine)]

        items = run(work)
        self._print(items, as_json=as_json)
        return items

    def show_page(
        self,
        read: Callable[[Engine, int, str | None], Listing[T]],
        target: str | None,
        url: str | None,
        page: Page,
        *,
        as_json: bool,
        wanted: Callable[[T], bool] | None = None,
    ) -> None:
        """Print the `wanted` items of a page, and whether more follow; `read` takes a limit and a cursor."""

        async def work() -> tuple[list[T], str | None]:
            async with opened(target, url) as engine:
                return await _gathered(lambda size, after: read(engine, size, after), page, wanted)

        items, more = run(work)
        self._print(items, as_json=as_json)
        if more is not None:
            note(f"the first {len(items):,} are shown; more with --all, --limit N or --cursor {more}")

    def _print(self, items: list[T], *, as_json: bool) -> None:
        if as_json:
            self.to_json(items)
        else:
            print_table(self.columns, [self.row(item) for item in items], empty=self.empty)


async def _gathered(
    read: Callable[[int, str | None], Listing[T]], page: Page, wanted: Callable[[T], bool] | None
) -> tuple[list[T], str | None]:
    limit, cursor = page
    items: list[T] = []
    while True:
        found = await read(LARGEST_PAGE if limit is None else min(LARGEST_PAGE, limit - len(items)), cursor)
        items += found.items if wanted is None else filter(wanted, found.items)
        cursor = found.next_cursor
        if cursor is None or (limit is not None and len(items) >= limit):
            return items, cursor
