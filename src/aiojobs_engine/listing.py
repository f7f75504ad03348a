"""What every `list` returns: awaited it is one page, iterated with `async for` it is all of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

import msgspec

from aiojobs_engine.core.errors import ConfigError

T = TypeVar("T")

PAGE = 100
LARGEST_PAGE = 1000


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of a listing; `next_cursor` is None on the last page, and opaque."""

    items: list[T]
    next_cursor: str | None = None


class Listing(Generic[T]):
    """A listing that has not been read yet; it can be read any number of times."""

    __slots__ = ("_cursor", "_limit", "_read")

    def __init__(
        self,
        read: Callable[[int, str | None], Awaitable[Page[T]]],
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> None:
        """Read pages of `limit` items by `read(limit, cursor)`.

        Raises:
            ConfigError: `limit` is not within 1 to 1,000, or the cursor is no text.
        """
        self._read = read
        self._limit = checked_limit(limit)
        self._cursor = checked_cursor(cursor)

    def __await__(self) -> Generator[Any, None, Page[T]]:
        """One page: at most `limit` items after the cursor."""
        return self._read(self._limit, self._cursor).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        """All items after the cursor, read page by page."""
        cursor = self._cursor
        while True:
            page = await self._read(self._limit, cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return


def checked_limit(limit: int | None) -> int:
    """`limit` itself, 100 for None.

    Raises:
        ConfigError: it is not within 1 to 1,000.
    """
    if limit is None:
        return PAGE
    if not is_count(limit) or limit > LARGEST_PAGE:
        raise ConfigError(f"limit is the size of a page, 1 to {LARGEST_PAGE:,}, got {limit!r}")
    return limit


def checked_cursor(cursor: str | None) -> str | None:
    """`cursor` itself.

    Raises:
        ConfigError: it is no text.
    """
    if not isinstance(cursor, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"a cursor is text that a page or an event gave, got {cursor!r:.80}")
    return cursor


def is_count(number: object) -> bool:
    """Whether it is a whole number of at least 1."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def whole(
    read: Callable[[], Awaitable[list[T]]], key: Callable[[T], str], limit: int | None, cursor: str | None
) -> Listing[T]:
    """A listing of what a store answers at once, in the order of `key`; the cursor is the last key shown."""

    async def page(size: int, after: str | None) -> Page[T]:
        items = sorted(await read(), key=key)
        left = items if after is None else [item for item in items if key(item) > after]
        shown = left[:size]
        return Page(shown, key(shown[-1]) if size < len(left) else None)

    return Listing(page, limit=limit, cursor=cursor)
