"""From what a handler yields to encoded pages in the storage, a segment at a time.

A segment is stored whole or not at all, and counts only once a checkpoint names it. So a run that was killed
goes on behind its last checkpoint, and what a run wrote that lost its lease belongs to nobody.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Protocol

import anyio.lowlevel
import msgspec

from aiojobs_engine.bulk.columns import Columns, plain
from aiojobs_engine.bulk.sinks import Sink
from aiojobs_engine.core.errors import ExportError
from aiojobs_engine.ports.storage import Storage

PAGE = 1000
"""Rows that are encoded at once."""

_BLOCK = 256 * 1024
_PAGE_SECONDS = 0.5
_FAST = 0.01
_STRIDE = 32  # rows between two looks at the clock, at most: quick ones may be followed by slow ones


class PartState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far one part of an export is; plain data, for it is the checkpoint.

    Attributes:
        spec: what the handler finds as `ctx.part`.
        segments: names in the storage.
        first: the key of its first row; `cursor` that of its last one.
    """

    spec: Any = None
    segments: list[str] = []
    rows: int = 0
    first: Any = None
    cursor: Any = None
    ended: bool = False


class Watch(Protocol):
    """What the rows of a part report to."""

    async def rows_came(self, count: int) -> None:
        """So many more rows are encoded."""
        ...

    def is_checkpoint_due(self) -> bool:
        """Whether the segment is to end here."""
        ...

    def monotonic(self) -> float:
        """Seconds."""
        ...


class KeyReader:
    """The key of a row, as plain data: one value, or a list of several."""

    def __init__(self, key: str | Sequence[str], owner: str) -> None:
        """Read the fields that `key` names."""
        self._is_one = isinstance(key, str)
        self._columns = Columns([key] if isinstance(key, str) else key, (), owner)

    def read(self, row: object, number: int) -> Any:
        """The key of one row.

        Raises:
            ExportError: the row has no such field.
        """
        (values,) = self._columns.cells([row], number)
        found = [plain(value) for value in values]
        return found[0] if self._is_one else found


class PartWriter:
    """Writes the rows of one part, segment by segment."""

    def __init__(
        self,
        state: PartState,
        rows: AsyncIterator[Any],
        *,
        columns: Columns,
        sink: Sink,
        key: KeyReader | None,
    ) -> None:
        """Go on behind what `state` has; `rows` gives what comes then."""
        self._state = state
        self._rows = rows
        self._columns = columns
        self._sink = sink
        self._key = key
        self._is_resumed = bool(state.rows)
        self._draft = PartState()

    async def segment(self, storage: Storage, owner: str, watch: Watch) -> None:
        """Store rows until a checkpoint is due or no more come; only then the state knows of them.

        Raises:
            ExportError: a row can't be written.
            Exception: what the handler raised.
        """
        state = self._state
        draft = self._draft = PartState(rows=state.rows, cursor=state.cursor, first=state.first)
        name = await storage.put(owner, self._blocks(watch))
        if draft.rows > state.rows:
            state.segments.append(name)
        state.rows, state.cursor, state.first = draft.rows, draft.cursor, draft.first
        state.ended = draft.ended

    async def _blocks(self, watch: Watch) -> AsyncIterator[bytes]:
        """Blocks of encoded pages; a page ends when it is full, half a second old, or a checkpoint is due."""
        waiting: list[bytes] = []
        size = 0
        look, stride = 1, 1
        page: list[Any] = []
        began = looked = watch.monotonic()
        is_due = False
        async for row in self._rows:
            page.append(row)
            if len(page) < look:
                continue
            now = watch.monotonic()
            is_slow = now - looked >= _FAST
            stride = 1 if is_slow else min(stride * 2, _STRIDE)
            look, looked = min(len(page) + stride, PAGE), now
            is_due = (is_slow or len(page) == PAGE) and watch.is_checkpoint_due()
            if len(page) < PAGE and now - began < _PAGE_SECONDS and not is_due:
                continue
            encoded = self._encoded(page)
            waiting.append(encoded)
            size += len(encoded)
            await watch.rows_came(len(page))
            page.clear()
            look, began = stride, now
            if size >= _BLOCK:
                yield b"".join(waiting)
                waiting, size = [], 0
            await anyio.lowlevel.checkpoint()
            if is_due:
                break
        else:
            self._draft.ended = True
        if page:
            waiting.append(self._encoded(page))
            await watch.rows_came(len(page))
        yield b"".join(waiting)

    def _encoded(self, page: list[Any]) -> bytes:
        draft = self._draft
        first = draft.rows + 1
        encoded = self._sink.encode(self._columns.cells(page, first), first)
        if self._key is not None:
            self._note_keys(self._key, page, first)
        draft.rows += len(page)
        return encoded

    def _note_keys(self, key: KeyReader, page: list[Any], first: int) -> None:
        draft = self._draft
        begins = key.read(page[0], first)
        if draft.first is None:
            draft.first = begins
        elif self._is_resumed and begins == draft.first:
            raise ExportError(
                "the handler began with its first row again, though it has a key: "
                "let it yield only the rows behind ctx.cursor"
            )
        self._is_resumed = False
        draft.cursor = key.read(page[-1], first + len(page) - 1)


async def from_thread(
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]], rows: Iterator[Any], clock: Callable[[], float]
) -> AsyncGenerator[Any]:
    """The rows of a plain iterator, which runs in threads: as many at once as come in 10 ms."""
    are_left = True
    try:
        while are_left:
            taken, are_left = await in_thread(partial(_taken, rows, clock))
            for row in taken:
                yield row
    finally:
        close = getattr(rows, "close", None)
        if close is not None:
            with suppress(ValueError):  # cancelled while a thread is inside
                close()


def _taken(rows: Iterator[Any], clock: Callable[[], float]) -> tuple[list[Any], bool]:
    """A page of rows, or those that came in 10 ms; and whether there may be more."""
    taken: list[Any] = []
    wanted, until = 1, clock() + _FAST
    while True:
        taken.extend(islice(rows, wanted - len(taken)))
        if len(taken) < wanted:
            return taken, False
        if wanted == PAGE or clock() >= until:
            return taken, True
        wanted = min(wanted * 2, wanted + _STRIDE, PAGE)
