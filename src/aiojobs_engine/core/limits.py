"""The bounds of what a job may carry, and the check of names."""

import operator
import re
from typing import Any

from aiojobs_engine.core.errors import ConfigError

PAYLOAD_BYTES = 256 * 1024
RESULT_BYTES = 256 * 1024
ERROR_CHARS = 16 * 1024
DEPTH = 64
NAME_CHARS = 128
PRIORITY = 2**31 - 1
KEY_CHARS = 200
TAGS = 100
LEAST_WEIGHT, LARGEST_WEIGHT = 0.001, 1000

_LARGEST_COUNT = 2**53
_NAME = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")


def checked_name(name: str, what: str) -> str:
    """`name` itself, when it has 1 to 128 characters of `A-Z a-z 0-9 _ . : -`.

    Raises:
        ConfigError: it has not; `what` says whose name it is.
    """
    if not is_name(name):
        raise ConfigError(f"{what} must be 1 to 128 of A-Z a-z 0-9 _ . : -, got {name!r:.80}")
    return name


def is_name(name: object) -> bool:
    """Whether `checked_name` would take it."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def is_storable(text: str) -> bool:
    """Whether every store takes the text as it is, and finds it again: no NUL and no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: they are escaped, so nothing can pose as a line."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    return char if char.isprintable() else repr(char)[1:-1]


def shortened(text: str, limit: int = ERROR_CHARS) -> str:
    """`text` as storable UTF-8 within `limit` characters: the middle is cut, lone surrogates are escaped."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
    if len(clean) <= limit:
        return clean
    half = (limit - 40) // 2
    return f"{clean[:half]}\n... {len(clean) - 2 * half} characters cut ...\n{clean[-half:]}"


def checked_count(number: Any, name: str) -> int:
    """`number` as a whole number of things.

    Raises:
        ConfigError: it is none, or negative.
    """
    try:
        found = operator.index(number)
    except TypeError:
        found = -1
    if not 0 <= found <= _LARGEST_COUNT:
        raise ConfigError(f"{name} is a whole number of things, at least 0, got {number!r:.80}")
    return found


def checked_message(message: object) -> str:
    """The message of a progress, shortened.

    Raises:
        ConfigError: it is no text.
    """
    if not isinstance(message, str):
        raise ConfigError(f"the message of a progress is text, got {message!r:.80}")
    return shortened(message)
