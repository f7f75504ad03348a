"""From a part of a stored source to rows, and back to what stands there; blocking, so it runs in a thread."""

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple
from zlib import crc32

from aiojobs_engine.bulk.failure_file import unmarked
from aiojobs_engine.bulk.plan import Part, Plan
from aiojobs_engine.bulk.row_types import Fault, RowT
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.bulk.sources import Delimited
from aiojobs_engine.bulk.sources.records import Piece, RawRows, RecordRows, bounded
from aiojobs_engine.core.errors import ConfigError, SourceChanged
from aiojobs_engine.core.status import RowFault

_BEGINNING = 200
_END = 2**62


class Loaded(NamedTuple, Generic[RowT]):
    """The rows of a part, ready for the handler.

    Attributes:
        numbers: the row number of each of `rows`.
        faults: the rows that don't fit their type, in order.
        skipped: how many duplicates are left out.
    """

    rows: list[RowT]
    numbers: list[int]
    faults: list[RowFault]
    skipped: int

    @property
    def size(self) -> int:
        """How many rows these are."""
        return len(self.rows) + len(self.faults) + self.skipped

    def after(self, number: int, part: Part) -> "Loaded[RowT]":
        """Those behind a row number."""
        if not number:
            return self
        cut = bisect_right(self.numbers, number)
        faults = [fault for fault in self.faults if fault.row_number > number]
        skipped = self.skipped - _skipped_to(number, part)
        return Loaded(self.rows[cut:], self.numbers[cut:], faults, skipped)

    def up_to(self, number: int, part: Part) -> "Loaded[RowT]":
        """Those up to a row number, of what may lie behind another one."""
        cut = bisect_right(self.numbers, number)
        faults = [fault for fault in self.faults if fault.row_number <= number]
        skipped = self.skipped - (_skipped_to(_END, part) - _skipped_to(number, part))
        return Loaded(self.rows[:cut], self.numbers[:cut], faults, skipped)


def _skipped_to(number: int, part: Part) -> int:
    return sum(max(0, min(last, number) - first + 1) for first, last in part.skipped)


@contextmanager
def opened(path: Path, plan: Plan) -> Generator[BinaryIO]:
    """The stored source.

    Raises:
        SourceChanged: it has another size than it was stored with.
        ConfigError: it is not there.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise ConfigError(
            f"the stored source {plan.source!r} is not here ({path}); "
            "all workers and dispatchers need the same storage.path"
        ) from error
    with file:
        size = file.seek(0, 2)
        if size != plan.size:
            raise SourceChanged(f"the stored source has {size:,} bytes, it was stored with {plan.size:,}")
        yield file


def load(path: Path, plan: Plan, part: Part, model: RowModel[RowT]) -> Loaded[RowT]:
    """All rows of the part, converted.

    Raises:
        SourceChanged: the stored source is not the one that was planned.
    """
    rows: list[RowT] = []
    numbers: list[int] = []
    with opened(path, plan) as file:
        faults = _unreadable_faults(file, part)
        for raw in _blocks(file, plan, part):
            made, wrong = _converted(plan, raw, model)
            rows += made
            if wrong:
                faults += [_row_fault(raw, position, fault, model) for position, fault in wrong.items()]
                numbers += [number for position, number in enumerate(raw.numbers) if position not in wrong]
            else:
                numbers += raw.numbers
            faults += _unfit_faults(raw)
    faults.sort(key=lambda fault: fault.row_number)
    return Loaded(rows, numbers, faults, part.rows - len(rows) - len(faults))


def faults_of(
    path: Path,
    plan: Plan,
    part: Part,
    model: RowModel[RowT],
    fault_of: Callable[[int], Fault | None],
    *,
    check: bool = False,
) -> list[RowFault]:
    """The rows for whose number `fault_of` has an answer, as they stand in the source; duplicates have none.

    Args:
        check: rows that don't fit their type show that instead; it runs the row type's own checks.

    Raises:
        SourceChanged: the stored source is not the one that was planned.
    """
    with opened(path, plan) as file:
        faults = _unreadable_faults(file, part)
        for raw in _blocks(file, plan, part):
            faults += _unfit_faults(raw)
            wrong = _converted(plan, raw, model)[1] if check else {}
            for position, number in enumerate(raw.numbers):
                fault = wrong.get(position) or fault_of(number)
                if fault is not None:
                    faults.append(_row_fault(raw, position, fault, model))
    chosen = (fault for fault in faults if fault_of(fault.row_number) is not None)
    return sorted(chosen, key=lambda fault: fault.row_number)


def _blocks(file: BinaryIO, plan: Plan, part: Part) -> Iterator[RawRows]:
    """The rows of the part without its duplicates, some at a time."""
    pieces: list[Piece] = []
    checksum = 0
    for span in part.spans:
        file.seek(span.offset)
        data = file.read(span.length)
        checksum = crc32(data, checksum)
        pieces.append(Piece(span.first, data))
    if checksum != part.checksum:
        raise SourceChanged("the stored source holds other rows here than those that were planned")
    skipped = {number for first, last in part.skipped for number in range(first, last + 1)}
    found = len(part.unreadable)
    for raw in plan.form.read(file, pieces, plan.mapping):
        found += len(raw.numbers) + len(raw.unfit)
        rows = unmarked(raw)
        yield rows.without(skipped) if skipped else rows
    if found != part.rows:
        raise SourceChanged(f"the stored source holds {found:,} rows here, it was planned with {part.rows:,}")


def _converted(plan: Plan, raw: RawRows, model: RowModel[RowT]) -> tuple[Sequence[RowT], dict[int, Fault]]:
    if isinstance(raw, RecordRows):
        return model.convert(raw.records())
    columns = raw.columns
    if isinstance(plan.form, Delimited) and plan.form.has_dates:
        columns = model.with_whole_dates(columns)
    return model.convert_columns(columns, len(raw.numbers))


def _unreadable_faults(file: BinaryIO, part: Part) -> list[RowFault]:
    faults: list[RowFault] = []
    for unreadable in part.unreadable:
        file.seek(unreadable.offset)
        beginning = file.read(_BEGINNING).decode("utf-8", "backslashreplace")
        faults.append(RowFault(unreadable.number, None, {"line": beginning}, None, unreadable.reason))
    return faults


def _unfit_faults(raw: RawRows) -> list[RowFault]:
    return [RowFault(unfit.number, None, bounded(unfit.payload), None, unfit.message) for unfit in raw.unfit]


def _row_fault(raw: RawRows, position: int, fault: Fault, model: RowModel[RowT]) -> RowFault:
    payload = bounded(raw.original(position))
    key = model.key_of(raw.record(position))
    return RowFault(raw.numbers[position], key, payload, fault.field, fault.message)
