"""What the planner of an import found out: it is the result of the job."""

from collections.abc import Iterable

import msgspec

from aiojobs_engine.bulk.plan import Part, Plan
from aiojobs_engine.bulk.sources.opening import Found

_COLUMN_CHARS = 16 * 1024


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import was made of, known as soon as it is planned.

    Attributes:
        source: what the source was taken for.
        duplicates: rows that are skipped because their key came before in the source.
        earlier: rows that are skipped because an earlier import brought their key in.
    """

    source: Found
    duplicates: int = 0
    earlier: int = 0


class Tally:
    """Counts the skipped rows of an import while it is planned."""

    def __init__(self) -> None:
        """Begin with none."""
        self._skipped = 0
        self._earlier = 0

    def add(self, parts: Iterable[Part]) -> None:
        """Count those of some parts."""
        for part in parts:
            self._skipped += sum(last - first + 1 for first, last in part.skipped)
            self._earlier += part.earlier

    def report(self, plan: Plan) -> ImportReport | None:
        """The report; None for a job of a release that did not say what its source was taken for."""
        if plan.found is None:
            return None
        return ImportReport(
            source=plan.found, duplicates=self._skipped - self._earlier, earlier=self._earlier
        )


def kept(found: Found) -> Found:
    """`found` as jobs keep it: without the names of columns that take more than 16,384 characters."""
    if sum(map(len, found.columns)) <= _COLUMN_CHARS:
        return found
    return msgspec.structs.replace(found, columns=())
