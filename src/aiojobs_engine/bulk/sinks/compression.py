"""Files made small: one gzip member or one Zstandard frame, as every tool reads them."""

import zlib
from collections.abc import Iterator
from typing import Any

from aiojobs_engine.bulk.zstandard import zstandard

COMPRESSIONS = {"gz": "application/gzip", "zst": "application/zstd"}

_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS


def check_compression(kind: str | None) -> None:
    """Nothing, when files can be made so here.

    Raises:
        ConfigError: it needs an extra that is not installed.
    """
    if kind == "zst":
        zstandard()


def compressed(blocks: Iterator[bytes], kind: str | None) -> Iterator[bytes]:
    """The blocks of a file, made small as `kind` says."""
    if kind is None:
        yield from blocks
        return
    compressor: Any = (
        zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if kind == "gz" else zstandard().ZstdCompressor()
    )
    for block in blocks:
        yield compressor.compress(block)
    yield compressor.flush()
