"""The encoding of a text source: found on its beginning, and turned into UTF-8 as it is read."""

import codecs
import re
from collections.abc import Callable

from aiojobs_engine.bulk.sources.bounds import Readable
from aiojobs_engine.core.errors import SourceError

UTF8 = "utf-8"
UTF8_BOM = b"\xef\xbb\xbf"

_BOMS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_WRONG_LINES = 3  # with fewer lines that are no UTF-8, or less than this share of them, some rows are broken,
_WRONG_SHARE = 0.05  # else the file has another encoding
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_NULS = 0.25  # in UTF-16, every second byte of European text is one
_ERRORS = "aiojobs_engine.marked"
_ASCII = 0x80


def encoding_of(head: bytes) -> str:
    """The name of the codec: `utf-8`, `utf-16`, `utf-16-le`, `utf-16-be`, `utf-32` or `cp1252`.

    Raises:
        SourceError: it is no text.
    """
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if head.startswith(UTF8_BOM):
        return UTF8
    nuls = head.count(b"\0")
    if nuls > _NULS * len(head):
        even = head[::2].count(b"\0")
        if nuls - even > 2 * even:
            return "utf-16-le"
        if even > 2 * (nuls - even):
            return "utf-16-be"
        raise SourceError("the source is no text: it is full of NUL bytes", argument="source")
    return "cp1252" if _is_single_byte(head) else UTF8


def checked_encoding(name: str) -> str:
    """The codec's own name.

    Raises:
        ValueError: there is no such text encoding.
    """
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except (LookupError, ValueError):
        raise ValueError(f"{name!r} is no text encoding that Python knows") from None
    return info.name


class AsUtf8:
    """A text file in another encoding, read as UTF-8.

    Bytes that are no text come through as a byte that is no UTF-8 either, so that their row is told.
    """

    def __init__(self, file: Readable, encoding: str) -> None:
        """Read `file`, a text in `encoding`."""
        self._file = file
        self._decode: Callable[..., str] = codecs.getincrementaldecoder(encoding)(_ERRORS).decode

    def read(self, size: int, /) -> bytes:
        """About `size` bytes, none at the end."""
        while data := self._file.read(size):
            if text := self._decode(data):
                return text.encode(UTF8, "surrogateescape")
        return self._decode(b"", final=True).encode(UTF8, "surrogateescape")


def _is_single_byte(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3 or _MULTIBYTE.search(head):
            return False
        lines = head.splitlines()
        if not lines[0].isascii():
            return True  # a header can't be broken by itself
        wrong = sum(not line.isascii() for line in lines)
        return wrong >= _WRONG_LINES and wrong > _WRONG_SHARE * len(lines)
    return False


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + (byte if byte >= _ASCII else 0xFF)) for byte in wrong), error.end


codecs.register_error(_ERRORS, _marked)
