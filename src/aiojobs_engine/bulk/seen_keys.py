"""Which rows of a source come again, by their keys, in a memory that does not grow with the source.

Keys are kept as 64-bit digests: two different keys meet with a chance of 1 in 2**64. The first ones are held
in memory. When they get too many, rows are taken by the generation: its digests are looked up together in an
unnamed file that has those of all generations before. That costs no step per key that is not one of C, and
grows with the square of the rows, so slowly that ten million rows take seconds.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from os import pread
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

from aiojobs_engine.bulk.sources.lines import Window

HELD = 300_000

_NO_KEY = hash(b"")
_READ_AT_ONCE = 64 * 1024


class _Taken(NamedTuple):
    """A window without its data, the digests of its keys, and the positions of those that came before."""

    window: Window
    digests: "array[int]"
    again: Sequence[int]


def with_repeated(windows: Iterable[Window], file: BinaryIO) -> Iterator[tuple[Window, Sequence[int]]]:
    """Each of `windows`, which are those of `file`, with the positions of records whose keys came before.

    Empty keys never repeat.
    """
    seen: set[int] = set()
    coming = iter(windows)
    for window in coming:
        yield window, _repeated(window.keys, _digests(window), seen)
        if len(seen) > HELD:
            break
    else:
        return
    with cast("BinaryIO", TemporaryFile()) as earlier:
        array("q", seen).tofile(earlier)
        while True:
            seen.clear()
            generation = _generation(coming, seen)
            if not generation:
                return
            known = _among(earlier, seen)
            for taken in generation:
                taken.digests.tofile(earlier)
            for window, digests, again in generation:
                data = b""
                if window.unreadable is None:
                    data = pread(file.fileno(), sum(window.lengths), window.offset)
                yield window._replace(data=data), _with_known(again, digests, known) if known else again


def _digests(window: Window) -> list[int]:
    return list(map(hash, window.keys or ()))


def _repeated(keys: Sequence[bytes] | None, digests: Sequence[int], seen: set[int]) -> list[int]:
    """The positions of digests in `seen` or earlier in the window; all of them are in `seen` then."""
    fresh = set(digests)
    if len(fresh) == len(digests) and fresh.isdisjoint(seen):
        seen |= fresh
        return []
    again: list[int] = []
    for position, digest in enumerate(digests):
        if digest in seen and keys is not None and keys[position]:
            again.append(position)
        seen.add(digest)
    return again


def _generation(windows: Iterator[Window], seen: set[int]) -> list[_Taken]:
    """Windows until there are enough keys, with what repeats among themselves."""
    taken: list[_Taken] = []
    for window in windows:
        digests = _digests(window)
        again = _repeated(window.keys, digests, seen)
        bare = window._replace(data=b"", lengths=array("q", window.lengths), keys=None)
        taken.append(_Taken(bare, array("q", digests), again))
        if len(seen) > HELD:
            break
    seen.discard(_NO_KEY)
    return taken


def _among(digests: BinaryIO, seen: set[int]) -> set[int]:
    """Those of `seen` that the file holds."""
    found: set[int] = set()
    digests.seek(0)
    while block := digests.read(_READ_AT_ONCE):
        numbers = array("q")
        numbers.frombytes(block)
        found |= seen.intersection(numbers)
    return found


def _with_known(again: Sequence[int], digests: Sequence[int], known: set[int]) -> Sequence[int]:
    if known.isdisjoint(digests):
        return again
    return sorted({*again, *(position for position, digest in enumerate(digests) if digest in known)})
