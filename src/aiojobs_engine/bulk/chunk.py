"""One run of a handler on a part of a source: read, convert, call, and tell good rows from bad ones.

When the attempts are out, the finalizer grants one more run to save what can be saved: the rows are halved
and halved again, one call each, until the bad ones are alone. Counters and faults of a run are settled
together, so a part that runs twice counts once; its handler may see rows twice. A run that ends between two
rows keeps what it has done, all rows up to a row number, and the next one begins behind it.
"""

from asyncio import CancelledError
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from aiojobs_engine.bulk.place import Place, place_of
from aiojobs_engine.bulk.plan import Part, Plan
from aiojobs_engine.bulk.reading import Loaded, faults_of, load
from aiojobs_engine.bulk.row_types import Fault, RowT
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.core.errors import ConfigError, LeaseLostError
from aiojobs_engine.core.limits import shortened
from aiojobs_engine.core.outcome import RowsDone, RowsKept
from aiojobs_engine.core.status import NO_COUNTERS, Counters, RowFault
from aiojobs_engine.runtime.context import JobContext, StopAtCheckpoint

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
        """Let `ctx.fail_row` and `ctx.track` of the handler report here."""
        self._handler = handler
        self._context = context
        self._plan = plan
        self._part = part
        self._place = place_of(context.claim)
        self._call = _Call[RowT]((), 0)
        self._bad: dict[int, Fault] = {}
        self._done = 0  # how many rows are done for good, when the run has to end
        context.takes_rows(self)

    async def done(self, *, most_faults: int | None = None) -> RowsDone:
        """Go through all rows that earlier runs have not done.

        Raises:
            Exception: what the handler raised; nothing of this run counts.
            TooManyFailures: more than `most_faults` rows don't fit their type, so the handler was not called.
            SourceChanged: the stored source is not the one that was planned.
            StopAtCheckpoint: the run ended between two rows, and the context has what is kept.
        """
        async with self._context.port.storage.open(self._plan.source) as path:
            loaded = await in_reader(partial(load, path, self._plan, self._part, self._handler.model))
            if most_faults is not None and len(loaded.faults) > most_faults:
                raise TooManyFailures(f"{len(loaded.faults):,} rows failed, at most {most_faults:,} may")
            loaded = loaded.after(self._place.done_to, self._part)
            if loaded.rows and not self._plan.dry_run:
                try:
                    await self._handle(loaded.rows)
                except (StopAtCheckpoint, CancelledError):
                    if self._done and not self._part.is_retry:
                        self._context.rows_kept = await self._kept(path, loaded)
                    raise
            return self._outcome(loaded, await self._handler_faults(path, loaded))

    async def _handle(self, rows: Sequence[RowT]) -> None:
        if self._context.stopping:
            raise StopAtCheckpoint
        if self._place.salvage:
            await self._salvage(rows)
            return
        try:
            await self._invoke(rows, 0)
        except (StopAtCheckpoint, CancelledError):
            self._done = self._call.done
            raise

    def _outcome(self, loaded: Loaded[RowT], by_handler: list[RowFault]) -> RowsDone:
        faults = sorted([*loaded.faults, *by_handler], key=lambda fault: fault.row_number)
        resolved = None
        if self._part.is_retry:
            good = (number for position, number in enumerate(loaded.numbers) if position not in self._bad)
            resolved = tuple(good)
        return RowsDone(
            succeeded=loaded.size - len(faults),
            skipped=loaded.skipped,
            before=self._before,
            faults=tuple(faults),
            resolved=resolved,
        )

    @property
    def _before(self) -> Counters:
        return self._context.claim.counters if self._place.done_to else NO_COUNTERS

    async def _kept(self, path: Path, loaded: Loaded[RowT]) -> RowsKept:
        """What has been done up to the last row that the handler is done with."""
        number = loaded.numbers[self._done - 1]
        self._bad = {position: fault for position, fault in self._bad.items() if position < self._done}
        done = loaded.up_to(number, self._part)
        outcome = self._outcome(done, await self._handler_faults(path, loaded))
        before, failed = self._before, len(outcome.faults)
        return RowsKept(
            counters=Counters(
                before.succeeded + outcome.succeeded,
                before.failed + failed,
                before.skipped + outcome.skipped,
                self._total,
            ),
            faults=outcome.faults,
            cursor=self._place.behind(number).encoded(),
        )

    @property
    def _total(self) -> int:
        return max(self._context.claim.counters.total, self._part.rows)

    async def _handler_faults(self, path: Path, loaded: Loaded[RowT]) -> list[RowFault]:
        if not self._bad:
            return []
        by_number = {loaded.numbers[position]: fault for position, fault in self._bad.items()}
        return await in_reader(
            partial(faults_of, path, self._plan, self._part, self._handler.model, by_number.get)
        )

    async def _invoke(self, rows: Sequence[RowT], first: int) -> None:
        """Run the handler on `rows`, the first of which is at position `first`."""
        call = self._call = _Call(rows, first)
        try:
            await self._handler.invoke(self._context, (list(rows),))
            self._bad |= call.reported
        except (StopAtCheckpoint, CancelledError):
            self._bad |= call.reported
            raise
        finally:
            call.close()  # the context lives on until the run is settled

    async def _salvage(self, rows: Sequence[RowT]) -> None:
        waiting = [(0, len(rows))] if len(rows) == 1 else _halves(0, len(rows))
        while waiting:
            begin, end = waiting.pop()
            self._done = begin
            if self._context.stopping:
                raise StopAtCheckpoint
            try:
                await self._invoke(rows[begin:end], begin)
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the handler raises tells which rows are bad
                if end - begin == 1:
                    self._bad[begin] = Fault(None, _message(error))
                else:
                    waiting += _halves(begin, end)
            except (StopAtCheckpoint, CancelledError):
                self._done = self._call.done
                raise
            self._context.port.touch(self._context.claim)

    @property
    def is_under_way(self) -> bool:
        """Whether the handler has one of the rows now, which come one by one."""
        return self._call.is_under_way and not self._part.is_retry

    @property
    def has_reports(self) -> bool:
        """Whether this call has reported rows."""
        return bool(self._call.reported)

    def begin(self, row: object) -> None:
        """The handler takes a row."""
        self._call.begin(row)

    def end(self) -> Counters | None:
        """It is done with it; None when the rows came in another order, so that a run can't end here."""
        call = self._call
        if not call.end() or self._part.is_retry:
            return None
        before, failed = self._before, len(self._bad) + call.failed
        return Counters(
            before.succeeded + call.done - failed, before.failed + failed, before.skipped, self._total
        )

    def fail(self, row: object, message: str, field: str | None) -> None:
        """It reports a row."""
        self._call.fail(row, Fault(field, shortened(message, _MESSAGE_CHARS)))


class _Call(Generic[RowT]):
    """One call of the handler.

    Attributes:
        done: the position behind the last row that it is done with, when it takes them in their order.
        is_under_way: it takes them so, and has one of them now.
        reported: what it says of rows, by their positions.
        failed: how many of those that it is done with it has reported.
    """

    def __init__(self, rows: Sequence[RowT], first: int) -> None:
        self._rows = rows
        self._first = first
        self._positions: dict[int, int] | None = None
        self._is_ordered = True
        self.done = first
        self.failed = 0
        self.is_under_way = False
        self.reported: dict[int, Fault] = {}

    def close(self) -> None:
        """Let go of the rows."""
        self._rows, self._positions, self.is_under_way = (), {}, False

    def begin(self, row: object) -> None:
        """It takes a row; after one that was not the next one no place in between is known any more."""
        position = self.done - self._first
        is_next = position < len(self._rows) and self._rows[position] is row
        self._is_ordered = self.is_under_way = self._is_ordered and is_next

    def end(self) -> bool:
        """It is done with the row; whether it took all rows so far in their order."""
        self.is_under_way = False
        if not self._is_ordered:
            return False
        self.failed += self.done in self.reported
        self.done += 1
        return True

    def fail(self, row: object, fault: Fault) -> None:
        """Take in what is wrong with a row; the first thing that is said of it counts.

        Raises:
            ConfigError: it is none of the rows.
        """
        if self._positions is None:
            self._positions = {id(known): position for position, known in enumerate(self._rows, self._first)}
        position = self._positions.get(id(row))
        if position is None:
            raise ConfigError(
                f"ctx.fail_row takes one of the rows that the handler was called with, got {row!r:.80}"
            )
        if position not in self.reported:
            self.reported[position] = fault
            self.failed += position < self.done


async def lost_faults(
    handler: Handler[RowT], context: JobContext, plan: Plan, part: Part, message: str, *, check: bool
) -> list[RowFault]:
    """A fault for each row of a part that failed as a whole, and was not done before; duplicates have none.

    Args:
        check: rows that don't fit their type show that instead.

    Raises:
        SourceChanged, ConfigError: the source can't be read any more.
    """
    lost = Fault(None, shortened(message, _MESSAGE_CHARS))
    done_to = place_of(context.claim).done_to
    async with context.port.storage.open(plan.source) as path:
        return await in_reader(
            partial(
                faults_of,
                path,
                plan,
                part,
                handler.model,
                lambda number: lost if number > done_to else None,
                check=check,
            )
        )


def bare_faults(part: Part, message: str, place: Place) -> list[RowFault]:
    """The same without what stands in the rows, for a source that can't be read any more."""
    skipped = {number for first, last in part.skipped for number in range(first, last + 1)}
    numbers = [number for span in part.spans for number in range(span.first, span.first + span.records)]
    numbers += [unreadable.number for unreadable in part.unreadable]
    kept = sorted(number for number in numbers if number not in skipped)[: part.rows - len(skipped)]
    return [
        RowFault(number, None, {}, None, shortened(message, _MESSAGE_CHARS))
        for number in kept
        if number > place.done_to
    ]


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
