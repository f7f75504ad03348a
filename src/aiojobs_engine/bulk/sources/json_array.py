"""A JSON array, taken apart as it is read: its elements one a line, none of them decoded."""

import re
from collections.abc import Generator

import msgspec

from aiojobs_engine.bulk.sources.bounds import Bounds, Readable
from aiojobs_engine.bulk.sources.encoding import UTF8_BOM
from aiojobs_engine.core.errors import SourceError

_BLOCK = 256 * 1024
_GUESSES = 3
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|["\[\]{}]', re.DOTALL)
_SPACE = b" \t\r\n"

_elements = msgspec.json.Decoder(list[msgspec.Raw])


def array_lines(file: Readable, bounds: Bounds) -> Generator[bytes]:
    """Blocks of lines, an element of the array each, in the order of the array.

    Raises:
        SourceError: it is no JSON array, or an element is too long; it names the element.
    """
    waiting = file.read(_BLOCK).removeprefix(UTF8_BOM).lstrip(_SPACE)
    if not waiting:
        raise SourceError("the source is empty: it has no rows", argument="source")
    if not waiting.startswith(b"["):
        raise SourceError(
            "the JSON file holds no array of objects, and no object a line either", argument="source"
        )
    waiting = waiting[1:]
    number = 0
    is_between = False  # the comma after an element is still to come
    while more := file.read(_BLOCK):
        waiting += more
        if is_between:
            waiting, is_between = _after_comma(waiting, number)
        end = 0 if is_between else _end_of_elements(waiting)
        if end:
            lines = _lines(waiting[:end], number, bounds)
            number += len(lines)
            yield b"".join(lines)
            waiting, is_between = _after_comma(waiting[end:], number)
        elif len(waiting) > bounds.record_bytes + _BLOCK:
            raise _too_long(number + 1, bounds)
    last = waiting.rstrip(_SPACE)
    if not last.endswith(b"]"):
        raise SourceError(f"the JSON array is cut off after row {number:,}", argument="source")
    lines = _lines(last[:-1], number, bounds)
    if number and not lines and not is_between:
        raise SourceError(f"a row is missing after row {number:,} and its comma", argument="source")
    yield b"".join(lines)


def _end_of_elements(data: bytes) -> int:
    """Where the last whole element in `data` ends; 0 when none does.

    A guess is right exactly when what stands before it is a JSON array.
    """
    guess = len(data)
    for _ in range(_GUESSES):
        guess = data.rfind(b"}", 0, guess)
        if guess < 0:
            return 0
        try:
            _elements.decode(b"[" + data[: guess + 1] + b"]")
        except msgspec.DecodeError:
            continue
        return guess + 1
    return _counted_end(data)


def _counted_end(data: bytes) -> int:
    depth = end = 0
    for token in _TOKENS.finditer(data):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth < 0:
                    break
                if not depth:
                    end = token.end()
            case b'"':
                break
            case _:
                pass
    return end


def _lines(data: bytes, number: int, bounds: Bounds) -> list[bytes]:
    try:
        elements = _elements.decode(b"[" + data + b"]")
    except msgspec.DecodeError as error:
        raise SourceError(
            f"the JSON array can't be read after row {number:,}: {error}", argument="source"
        ) from error
    lines: list[bytes] = []
    for element in elements:
        line = bytes(element)
        if b"\n" in line or b"\r" in line:
            line = msgspec.json.format(line, indent=-1)
        if len(line) > bounds.record_bytes:
            raise _too_long(number + len(lines) + 1, bounds)
        lines.append(line + b"\n")
    return lines


def _after_comma(data: bytes, number: int) -> tuple[bytes, bool]:
    """What comes after the comma, and whether that is still to come; it never does before the last `]`."""
    rest = data.lstrip(_SPACE)
    if rest.startswith(b","):
        return rest[1:], False
    if rest and not rest.startswith(b"]"):
        raise SourceError(f"a comma is missing in the JSON array after row {number:,}", argument="source")
    return rest, True


def _too_long(number: int, bounds: Bounds) -> SourceError:
    return SourceError(
        f"row {number:,} is longer than {bounds.record_bytes:,} bytes (limits.record_bytes)",
        argument="source",
    )
