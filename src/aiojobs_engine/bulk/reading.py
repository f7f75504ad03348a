"""From a part of a stored source to rows, and back to what stands there; blocking, so it runs in a thread."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple
from zlib import crc32

from aiojobs_engine.bulk.plan import Part, Plan
from aiojobs_engine.bulk.row_types import Fault, RowT
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.bulk.sources.records import Piece, RawRows, bounded
from aiojobs_engine.core.errors import SourceChanged
from aiojobs_engine.core.status import RowFault

_BEGINNING = 200


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


def load(path: Path, plan: Plan, part: Part, model: RowModel[RowT]) -> Loaded[RowT]:
    """All rows of the part, converted.

    Raises:
        SourceChanged: the stored source is not the one that was planned.
    """
    with _opened(path, plan) as file:
        raw = _read(file, plan, part)
        faults = _unreadable_faults(file, raw, part)
    positions = _without_duplicates(raw.numbers, part)
    records = [raw.records[position] for position in positions] if part.skipped else raw.records
    rows, wrong = model.convert(records)
    for index, fault in wrong.items():
        faults.append(_row_fault(raw, positions[index], fault, model))
    faults.sort(key=lambda fault: fault.row_number)
    numbers = [raw.numbers[position] for index, position in enumerate(positions) if index not in wrong]
    return Loaded(rows, numbers, faults, part.rows - len(rows) - len(faults))


def faults_of(
    path: Path, plan: Plan, part: Part, model: RowModel[RowT], fault_of: Callable[[int], Fault | None]
) -> list[RowFault]:
    """The rows for whose number `fault_of` has an answer, as they stand in the source; duplicates have none.

    Raises:
        SourceChanged: the stored source is not the one that was planned.
    """
    with _opened(path, plan) as file:
        raw = _read(file, plan, part)
        faults = [fault for fault in _unreadable_faults(file, raw, part) if fault_of(fault.row_number)]
    for position in _without_duplicates(raw.numbers, part):
        fault = fault_of(raw.numbers[position])
        if fault is not None:
            faults.append(_row_fault(raw, position, fault, model))
    return sorted(faults, key=lambda fault: fault.row_number)


@contextmanager
def _opened(path: Path, plan: Plan) -> Generator[BinaryIO]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size != plan.size:
            raise SourceChanged(f"the stored source has {size:,} bytes, it was planned with {plan.size:,}")
        yield file


def _read(file: BinaryIO, plan: Plan, part: Part) -> RawRows:
    pieces: list[Piece] = []
    checksum = 0
    for span in part.spans:
        file.seek(span.offset)
        data = file.read(span.length)
        checksum = crc32(data, checksum)
        pieces.append(Piece(span.first, data))
    if checksum != part.checksum:
        raise SourceChanged("the stored source holds other rows here than those that were planned")
    raw = plan.form.read(file, pieces, plan.mapping)
    found = len(raw.records) + len(raw.unfit) + len(part.unreadable)
    if found != part.rows:
        raise SourceChanged(f"the stored source holds {found:,} rows here, it was planned with {part.rows:,}")
    return raw


def _unreadable_faults(file: BinaryIO, raw: RawRows, part: Part) -> list[RowFault]:
    skipped = _Skipped(part)
    faults = [
        RowFault(unfit.number, None, bounded(unfit.payload), None, unfit.message)
        for unfit in raw.unfit
        if unfit.number not in skipped
    ]
    for unreadable in part.unreadable:
        file.seek(unreadable.offset)
        beginning = file.read(_BEGINNING).decode("utf-8", "backslashreplace")
        faults.append(RowFault(unreadable.number, None, {"line": beginning}, None, unreadable.reason))
    return faults


def _row_fault(raw: RawRows, position: int, fault: Fault, model: RowModel[RowT]) -> RowFault:
    payload = bounded(raw.original(position))
    return RowFault(
        raw.numbers[position], model.key_of(raw.records[position]), payload, fault.field, fault.message
    )


def _without_duplicates(numbers: Sequence[int], part: Part) -> Sequence[int]:
    """The positions of the rows that are to be handled."""
    if not part.skipped:
        return range(len(numbers))
    skipped = _Skipped(part)
    return [position for position, number in enumerate(numbers) if number not in skipped]


class _Skipped:
    """The row numbers of duplicates."""

    def __init__(self, part: Part) -> None:
        self._numbers = {number for first, last in part.skipped for number in range(first, last + 1)}

    def __contains__(self, number: int) -> bool:
        return number in self._numbers
