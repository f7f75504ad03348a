"""One run of a handler on a part of a source: read, convert, call, and tell good rows from bad ones.

When the attempts are out, the finalizer grants one more run to save what can be saved: the rows are halved
and halved again, one call each, until the bad ones are alone. Counters and faults of a run are settled
together, so a part that runs twice counts once; its handler may see rows twice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from aiojobs_engine.bulk.plan import Part, Plan
from aiojobs_engine.bulk.reading import Loaded, faults_of, load
from aiojobs_engine.bulk.row_types import Fault, RowT
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.core.errors import ConfigError, LeaseLostError
from aiojobs_engine.core.limits import shortened
from aiojobs_engine.core.outcome import SALVAGE, RowsDone
from aiojobs_engine.core.status import RowFault
from aiojobs_engine.runtime.context import JobContext

T = TypeVar("T")

_MESSAGE_CHARS = 2000

# converting rows holds the interpreter: two at once are no faster than one, and keep twice the rows in memory
_READERS: RunVar[CapacityLimiter] = RunVar("aiojobs_engine.bulk.readers")


class Handler(Protocol[RowT]):
    """What a run of rows needs of its importer."""

    @property
    def model(self) -> RowModel[RowT]:
        """The row type."""
        ...

    async def invoke(self, context: JobContext, args: tuple[Any, ...]) -> Any:
        """Call the handler, inside the middleware."""
        ...


class TooManyFailures(Exception):
    """More rows failed than `max_failures` or `max_failure_rate` allows."""


async def in_reader(call: Callable[[], T], *, abandon_on_cancel: bool = True) -> T:
    """The value of a blocking function that reads rows, called in a thread, one at a time."""
    limiter = _READERS.get(None)
    if limiter is None:
        limiter = CapacityLimiter(1)
        _READERS.set(limiter)
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=abandon_on_cancel, limiter=limiter)


class PartRun(Generic[RowT]):
    """The run of one handler on one part."""

    def __init__(self, handler: Handler[RowT], context: JobContext, plan: Plan, part: Part) -> None:
        """Let `ctx.fail_row` of the handler report here."""
        self._handler = handler
        self._context = context
        self._plan = plan
        self._part = part
        self._rows: Sequence[RowT] = ()
        self._positions: dict[int, int] | None = None
        self._reported: dict[int, Fault] = {}
        self._bad: dict[int, Fault] = {}
        context.takes_row_failures(self._fail_row)

    async def done(self, *, most_faults: int | None = None) -> RowsDone:
        """Go through all rows.

        Raises:
            Exception: what the handler raised; nothing of this run counts.
            TooManyFailures: more than `most_faults` rows don't fit their type, so the handler was not called.
            SourceChanged: the stored source is not the one that was planned.
        """
        async with self._context.port.storage.open(self._plan.source) as path:
            loaded = await in_reader(partial(load, path, self._plan, self._part, self._handler.model))
            if most_faults is not None and len(loaded.faults) > most_faults:
                raise TooManyFailures(f"{len(loaded.faults):,} rows failed, at most {most_faults:,} may")
            if loaded.rows and not self._plan.dry_run:
                if self._context.claim.cursor == SALVAGE:
                    await self._salvage(loaded.rows)
                else:
                    await self._call(loaded.rows, 0)
            return self._outcome(loaded, await self._handler_faults(path, loaded))

    def _outcome(self, loaded: Loaded[RowT], by_handler: list[RowFault]) -> RowsDone:
        faults = sorted([*loaded.faults, *by_handler], key=lambda fault: fault.row_number)
        resolved = None
        if self._part.is_retry:
            good = (number for position, number in enumerate(loaded.numbers) if position not in self._bad)
            resolved = tuple(good)
        return RowsDone(
            succeeded=self._part.rows - len(faults),
            skipped=loaded.skipped,
            faults=tuple(faults),
            resolved=resolved,
        )

    async def _handler_faults(self, path: Path, loaded: Loaded[RowT]) -> list[RowFault]:
        if not self._bad:
            return []
        by_number = {loaded.numbers[position]: fault for position, fault in self._bad.items()}
        return await in_reader(
            partial(faults_of, path, self._plan, self._part, self._handler.model, by_number.get)
        )

    async def _call(self, rows: Sequence[RowT], first: int) -> None:
        """Run the handler on `rows`, the first of which is at position `first`."""
        self._rows, self._positions, self._reported = rows, None, {}
        try:
            await self._handler.invoke(self._context, (list(rows),))
            for position, fault in self._reported.items():
                self._bad[first + position] = fault
        finally:
            self._rows, self._positions = (), {}  # the context lives on until the run is settled

    async def _salvage(self, rows: Sequence[RowT]) -> None:
        waiting = [(0, len(rows))] if len(rows) == 1 else _halves(0, len(rows))
        while waiting:
            begin, end = waiting.pop()
            try:
                await self._call(rows[begin:end], begin)
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the handler raises tells which rows are bad
                if end - begin == 1:
                    self._bad[begin] = Fault(None, _message(error))
                else:
                    waiting += _halves(begin, end)
            self._context.port.touch(self._context.claim)

    def _fail_row(self, row: object, message: str, field: str | None) -> None:
        if self._positions is None:
            self._positions = {id(known): position for position, known in enumerate(self._rows)}
        position = self._positions.get(id(row))
        if position is None:
            raise ConfigError(
                f"ctx.fail_row takes one of the rows that the handler was called with, got {row!r:.80}"
            )
        self._reported.setdefault(position, Fault(field, shortened(message, _MESSAGE_CHARS)))


async def lost_faults(
    handler: Handler[RowT], context: JobContext, plan: Plan, part: Part, message: str, *, check: bool
) -> list[RowFault]:
    """A fault for each row of a part that failed as a whole; duplicates have none.

    Args:
        check: rows that don't fit their type show that instead.

    Raises:
        SourceChanged, ConfigError: the source can't be read any more.
    """
    lost = Fault(None, shortened(message, _MESSAGE_CHARS))
    async with context.port.storage.open(plan.source) as path:
        return await in_reader(
            partial(faults_of, path, plan, part, handler.model, lambda _: lost, check=check)
        )


def bare_faults(part: Part, message: str) -> list[RowFault]:
    """The same without what stands in the rows, for a source that can't be read any more."""
    skipped = {number for first, last in part.skipped for number in range(first, last + 1)}
    numbers = [number for span in part.spans for number in range(span.first, span.first + span.records)]
    numbers += [unreadable.number for unreadable in part.unreadable]
    kept = sorted(number for number in numbers if number not in skipped)[: part.rows - len(skipped)]
    return [RowFault(number, None, {}, None, shortened(message, _MESSAGE_CHARS)) for number in kept]


def _halves(begin: int, end: int) -> list[tuple[int, int]]:
    """Both halves, the first one last, for it is taken first."""
    middle = (begin + end) // 2
    return [(middle, end), (begin, middle)]


def _message(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not cost the chunk
        text = ""
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__, _MESSAGE_CHARS)
