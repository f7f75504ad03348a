"""Long loops inside a handler: what they went through is told, and where they are is kept."""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, Protocol, TypeVar, get_type_hints

import msgspec

from aiojobs_engine.core.errors import ConfigError, PayloadError
from aiojobs_engine.core.status import Counters

T = TypeVar("T")
CursorT = TypeVar("CursorT")

_SAVE_EVERY = 1.0

Build = Callable[[CursorT | None], AsyncIterable[tuple[T, CursorT]] | Iterable[tuple[T, CursorT]]]


class Place(Protocol):
    """What a loop needs of its run."""

    stopping: bool

    @property
    def cursor(self) -> Any:
        """What the last checkpoint kept, as plain data."""
        ...

    @property
    def processed(self) -> int:
        """How many items the last checkpoint counted."""
        ...

    def monotonic(self) -> float:
        """Seconds."""
        ...

    async def tell(self, processed: int, total: int | None = None) -> None:
        """Say how far the loop is."""
        ...

    async def keep(self, value: object) -> None:
        """Keep the place; where the run is to stop, this doesn't return."""
        ...


class Rows(Protocol):
    """The rows of a call of an importer."""

    @property
    def is_under_way(self) -> bool:
        """Whether they are taken one by one, in their order, and one of them now."""
        ...

    @property
    def has_reports(self) -> bool:
        """Whether this call has reported rows."""
        ...

    def begin(self, row: object) -> None:
        """The handler takes a row."""
        ...

    def end(self) -> Counters | None:
        """It is done with it: what the job counts by now, None when it can't end here."""
        ...

    def fail(self, row: object, message: str, field: str | None) -> None:
        """It reports a row."""
        ...


async def each_of(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """The items, whichever way they come."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def iterated(place: Place, build: "Build[CursorT, T]", total: int | None) -> AsyncIterator[T]:
    """The items that `build` gives from where the last run was; see `JobContext.iterate`."""
    cursors = _Cursors(build)
    done = place.processed
    saved = place.monotonic()
    last: object = None
    is_kept = True
    async for pair in each_of(build(cursors.decoded(place.cursor))):
        item, cursor = _parted(pair)
        if cursor is None:
            raise ConfigError(f"build gave the cursor None with {item!r:.80}; None is the beginning")
        yield item
        done, last, is_kept = done + 1, cursors.encoded(cursor), False
        await place.tell(done, total)
        now = place.monotonic()
        if place.stopping or now - saved >= _SAVE_EVERY:
            await place.keep(last)
            saved, is_kept = now, True
    if not is_kept:
        await place.keep(last)


class _Cursors:
    """Cursors of the type that `build` annotates, as plain data and back."""

    def __init__(self, build: Callable[..., Any]) -> None:
        try:
            hints = get_type_hints(build, include_extras=True)
            name = next(iter(inspect.signature(build).parameters))
        except (TypeError, NameError, ValueError, StopIteration) as error:
            raise ConfigError(f"ctx.iterate takes a function of one cursor, got {build!r:.80}") from error
        self._type = hints.get(name, Any)

    def encoded(self, cursor: object) -> object:
        """Plain data.

        Raises:
            PayloadError: it would not come back equal; the type of the parameter says what comes back.
        """
        try:
            plain = msgspec.to_builtins(cursor, str_keys=True)
            if self._converted(plain) == cursor:
                return plain
        except (TypeError, msgspec.ValidationError) as error:
            raise PayloadError(f"the cursor {cursor!r:.80} can't be kept: {error}") from error
        raise PayloadError(
            f"the cursor {cursor!r:.80} would come back as {plain!r:.80}; annotate the parameter of build, "
            "like cursor: datetime | None"
        )

    def decoded(self, plain: object) -> Any:
        """The cursor that was kept, None at the beginning.

        Raises:
            PayloadError: it is none of this type any more.
        """
        try:
            return None if plain is None else self._converted(plain)
        except msgspec.ValidationError as error:
            raise PayloadError(f"the cursor {plain!r:.80} that was kept fits no more: {error}") from error

    def _converted(self, plain: object) -> Any:
        return msgspec.convert(plain, self._type)


def _parted(pair: tuple[T, CursorT]) -> tuple[T, CursorT]:
    if not isinstance(pair, tuple) or len(pair) != 2:  # pyright: ignore[reportUnnecessaryIsInstance] # noqa: PLR2004 - an item and a cursor
        raise ConfigError(f"build yields pairs of an item and its cursor, got {pair!r:.80}")
    return pair
