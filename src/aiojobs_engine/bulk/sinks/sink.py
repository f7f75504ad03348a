"""What a writer of files does, in two steps: it encodes pages of rows, and makes the whole of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from aiojobs_engine.bulk.columns import Cells

Encoded = Callable[[], Iterator[bytes]]
"""Reads what was encoded from its beginning, in blocks of any size."""


class Sink(Protocol):
    """One form of files. Encoded pages stand one behind the other, so that runs go on where one stopped."""

    def encode(self, cells: list[Cells], first: int) -> bytes:
        """A page of rows; `first` is the number of the first one.

        Raises:
            ExportError: a value can't be written; the error names its row.
        """
        ...

    def blocks(self, encoded: Encoded) -> Iterator[bytes]:
        """The whole file, in blocks; an empty one says that work goes on. Blocking, so it runs in a thread.

        Raises:
            ExportError: this form can't hold so much.
        """
        ...


def row_of_fault(cells: Sequence[Cells], first: int, write: Callable[[Cells], Any]) -> tuple[int, str]:
    """The number of the first row that `write` refuses, and why."""
    for number, row in enumerate(cells, first):
        try:
            write(row)
        except Exception as error:  # noqa: BLE001 - whatever it is, it names the row
            return number, str(error) or type(error).__name__
    return first, "it can't be written"
