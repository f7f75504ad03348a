"""A stored file as blocks of whole lines: the common ground of all formats whose records end with lines."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

BLOCK = 64 * 1024
RECORD_BYTES = 1024 * 1024


class Window(NamedTuple):
    """Some records in a row, in the order of the file.

    Attributes:
        data: their bytes, from `offset` on.
        lengths: bytes of each record, its line end included.
        blanks: positions in `lengths` of empty lines, which are no rows but are counted in row numbers.
        keys: the key of each record as bytes, None where none was asked for.
        unreadable: why the only record of this window can't be read, None for readable ones; `data` is then
            its beginning alone.
    """

    offset: int
    data: bytes
    lengths: Sequence[int]
    blanks: frozenset[int] = frozenset()
    keys: list[bytes] | None = None
    unreadable: str | None = None


class LineBlocks:
    """Reads a file from an offset on in blocks that end with a line end, or with the file.

    A line longer than `record_bytes` is never held as a whole.
    """

    def __init__(self, file: BinaryIO, offset: int, record_bytes: int) -> None:
        """Start at `offset`."""
        self._file = file
        self._rest = b""
        self.record_bytes = record_bytes
        self.seek(offset)

    def seek(self, offset: int) -> None:
        """Go on at `offset`, the beginning of a line."""
        self._file.seek(offset)
        self._rest = b""
        self.offset = offset

    def __iter__(self) -> Iterator[bytes]:
        """Blocks until the end, empty ones never; `offset` is where the next block begins.

        A block without any line end, and longer than `record_bytes`, is the beginning of a line too long.
        """
        while block := self.next_block():
            yield block

    def next_block(self) -> bytes:
        """The next block, empty at the end of the file."""
        data = self._rest
        while True:
            more = self._file.read(BLOCK)
            end = more.rfind(b"\n") + 1
            if end or not more or len(data) + len(more) > self.record_bytes:
                break
            data += more
        data += more
        if not end and more:
            end = data.rfind(b"\r", 0, -1) + 1  # a CR at the very end may be half of a line end
        elif end:
            end += len(data) - len(more)
        if end:
            block, self._rest = data[:end], data[end:]
        else:
            block, self._rest = data, b""
        self.offset += len(block)
        return block

    def skip_line(self, offset: int) -> int:
        """The length of the line that begins at `offset`, however long; the next block begins after it."""
        self.seek(offset)
        length = 0
        while more := self._file.read(BLOCK):
            end = more.find(b"\n") + 1
            length += end or len(more)
            if end:
                break
        self.seek(offset + length)
        return length

    def unreadable(self, offset: int, problem: str) -> Window:
        """The line that begins at `offset` as a record that can't be read; one too long says so."""
        length = self.skip_line(offset)
        if length > self.record_bytes:
            problem = f"the line is longer than {self.record_bytes:,} bytes"
        return Window(offset, b"", [length], unreadable=problem)
