"""What failures have in common: the same fault in the same place has the same mark, whatever its data."""

import re
from hashlib import blake2b

from aiojobs_engine.core.status import ErrorInfo

_BYTES = 6
_LONGEST = 500
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<name>\S+)', re.MULTILINE)
_LIBRARY = re.compile(r"[/\\](?:lib[/\\]python[\d.]*|site-packages|dist-packages)[/\\]|^<", re.IGNORECASE)
_SHAPES = (
    (re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`"), "'*'"),
    (re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b", re.IGNORECASE), "*"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{7,}\b", re.IGNORECASE), "*"),
    (re.compile(r"\S+@\S+|\b[a-z]+://\S+|(?<!\w)/\S+", re.IGNORECASE), "*"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "#"),
    (re.compile(r"\s+"), " "),
)


def fingerprint(job_type: str, error: ErrorInfo | None) -> str:
    """12 hexadecimal digits that tell apart failures of other types, errors, reasons, messages or places.

    Numbers, quoted words, ids, addresses and paths in the message count as alike, and so do line numbers.
    """
    if error is None:
        error = ErrorInfo("unknown", "")
    parts = (job_type, error.type, error.reason or "", shape(error.message), _place(error.traceback))
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=_BYTES).hexdigest()


def shape(message: str) -> str:
    """The first line of a message without its data."""
    line = message.strip().split("\n", 1)[0][:_LONGEST]
    for pattern, kept in _SHAPES:
        line = pattern.sub(kept, line)
    return line.strip()


def _place(traceback: str) -> str:
    """The file and function of the application that raised the error, or called what raised it."""
    frames = [frame for frame in _FRAME.finditer(traceback) if not _LIBRARY.search(frame["file"])]
    if not frames:
        return ""
    return f"{frames[-1]['file'].rsplit('/', 1)[-1]}:{frames[-1]['name']}"
