"""Sources that are compressed, unfolded as they are read, and no further than they may."""

import gzip
import io
import zlib
from typing import Any, cast

from aiojobs_engine.bulk.sources.bounds import MOST_UNCHECKED, Bounds, Readable
from aiojobs_engine.bulk.zstandard import zstandard
from aiojobs_engine.core.errors import SourceError

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}

_WINDOW_LOG = 25  # 32 MiB are held to unfold zstd; its tools write up to 8 MiB unless they are told to


def compression_of(head: bytes) -> str | None:
    """`gzip` or `zstd`, or None for what begins like neither."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


class Inflated:
    """What a compressed file holds, as a file to read."""

    def __init__(self, file: Readable, compression: str, bounds: Bounds) -> None:
        """Unfold `file`, which is `gzip` or `zstd`.

        Raises:
            ConfigError: the extra that reads zstd is not installed.
        """
        self._counted = _Counted(file)
        self._compression = compression
        self._bounds = bounds
        self._produced = 0
        self._errors: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error)
        if compression == "gzip":
            self._file: Any = gzip.GzipFile(fileobj=cast("io.BufferedReader", self._counted), mode="rb")
        else:
            zstd = zstandard()
            self._errors += (zstd.ZstdError,)
            options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
            self._file = zstd.ZstdFile(self._counted, options=options)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end.

        Raises:
            SourceError: the data is broken or cut off, or more unfolds from it than may.
        """
        try:
            data = cast("bytes", self._file.read(size))
        except self._errors as error:
            raise SourceError(
                f"the {self._compression} data is broken or cut off: {error}", argument="source"
            ) from error
        self._produced += len(data)
        most = max(MOST_UNCHECKED, self._bounds.inflation * self._counted.count)
        if self._produced > most:
            raise SourceError(
                f"the {self._compression} data unfolds to more than {self._bounds.inflation:,} times "
                "its size (limits.inflation)",
                argument="source",
            )
        if self._produced > self._bounds.inflated_bytes:
            raise SourceError(
                f"the {self._compression} data unfolds to more than {self._bounds.inflated_bytes:,} bytes "
                "(limits.inflated_bytes)",
                argument="source",
            )
        return data


class _Counted:
    """A file to read, and how many bytes were taken from it."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data
