"""Which rows of a source come again, by their keys, in a memory that does not grow with the source.

Keys are kept as 64-bit digests: two different keys meet with a chance of 1 in 2**64. The first ones are held
in memory. When they get too many, rows are taken by the generation: its digests are looked up together in an
unnamed file that has those of all generations before. That costs no step per key that is not one of C, and
grows with the square of the rows: a tenth of a second for a million, half a minute for ten million. The keys
of earlier imports come in a file of their own, looked through in the same way from the first row on.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import pread
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

from aiojobs_engine.bulk.plan import Looked
from aiojobs_engine.bulk.sources.lines import Window

HELD = 100_000

_NO_KEY = hash(b"")
_READ_AT_ONCE = 64 * 1024


class Imported(NamedTuple):
    """What earlier imports brought in.

    Attributes:
        digests: those of the keys, eight bytes each.
        plain: makes keys of this source comparable to them.
    """

    digests: BinaryIO
    plain: Callable[[bytes], bytes] | None


class _Taken(NamedTuple):
    """A window without its data, the digests of its keys, and the positions of those that came before.

    `plain` are the digests as earlier imports have them.
    """

    window: Window
    digests: "array[int]"
    plain: "array[int]"
    again: Sequence[int]


def with_repeated(
    windows: Iterable[Window], file: BinaryIO, imported: Imported | None = None
) -> Iterator[Looked]:
    """Each of `windows`, which are those of `file`, with the positions of records whose keys came before.

    Empty keys never repeat.
    """
    seen: set[int] = set()
    coming = iter(windows)
    if imported is None:
        for window in coming:
            yield Looked(window, _repeated(window.keys, _digests(window), seen))
            if len(seen) > HELD:
                break
        else:
            return
    with cast("BinaryIO", TemporaryFile()) as before:
        array("q", seen).tofile(before)
        while True:
            seen.clear()
            generation = _generation(coming, seen, None if imported is None else imported.plain)
            if not generation:
                return
            known = _among(before, seen)
            brought: set[int] = set()
            if imported is not None:
                brought = _among(imported.digests, {each for taken in generation for each in taken.plain})
                brought.discard(_NO_KEY)
            for taken in generation:
                taken.digests.tofile(before)
            for taken in generation:
                yield _looked(file, taken, known, brought)


def _looked(file: BinaryIO, taken: _Taken, known: set[int], brought: set[int]) -> Looked:
    window = taken.window
    data = b""
    if window.unreadable is None:
        data = pread(file.fileno(), sum(window.lengths), window.offset)
    again = _with_known(taken.again, taken.digests, known) if known else taken.again
    earlier = _with_known((), taken.plain, brought) if brought else ()
    return Looked(window._replace(data=data), sorted({*again, *earlier}) if earlier else again, earlier)


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


def _generation(
    windows: Iterator[Window], seen: set[int], plain: Callable[[bytes], bytes] | None
) -> list[_Taken]:
    """Windows until there are enough keys, with what repeats among themselves."""
    taken: list[_Taken] = []
    for window in windows:
        digests = _digests(window)
        again = _repeated(window.keys, digests, seen)
        bare = window._replace(data=b"", lengths=array("q", window.lengths), keys=None)
        kept = array("q", digests)
        compared = kept if plain is None else array("q", map(hash, map(plain, window.keys or ())))
        taken.append(_Taken(bare, kept, compared, again))
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
