"""Parquet files as JSON objects, one a line."""

import math
from collections.abc import Generator
from importlib import import_module
from typing import Any, BinaryIO, cast

import msgspec

from aiojobs_engine.bulk.sources.bounds import Bounds
from aiojobs_engine.core.errors import ConfigError, SourceError

_ROWS = 256

_encoder = msgspec.json.Encoder()


class ParquetRows:
    """The rows of a Parquet file.

    Attributes:
        columns: their names, in the order of the file.
    """

    def __init__(self, file: BinaryIO, bounds: Bounds) -> None:
        """Read what the file says of itself.

        Raises:
            SourceError: it is no Parquet file, or has too many columns.
            ConfigError: the extra that reads Parquet is not installed.
        """
        try:
            arrow: Any = import_module("pyarrow")
            parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise ConfigError('Parquet needs an extra: pip install "aiojobs-engine[parquet]"') from None
        self._errors = (cast("type[Exception]", arrow.ArrowException), OSError, ValueError, OverflowError)
        self._bounds = bounds
        try:
            self._file: Any = parquet.ParquetFile(file)
            self.columns: list[str] = list(self._file.schema_arrow.names)
        except self._errors as error:
            raise SourceError(f"the Parquet file can't be read: {error}", argument="source") from error
        if len(self.columns) > bounds.columns:
            raise SourceError(
                f"the source has {len(self.columns):,} columns, at most {bounds.columns:,} can be "
                "(limits.columns)",
                argument="source",
            )

    def lines(self) -> Generator[bytes]:
        """All rows in order, as blocks of lines.

        Raises:
            SourceError: the file is broken, or a row is too long.
        """
        number = 0
        batches = self._file.iter_batches(batch_size=_ROWS)
        while True:
            try:
                batch = next(batches, None)
                rows = None if batch is None else cast("list[dict[str, Any]]", batch.to_pylist())
            except self._errors as error:
                raise SourceError(
                    f"the Parquet file can't be read after row {number:,}: {error}", argument="source"
                ) from error
            if rows is None:
                return
            lines: list[bytes] = []
            for row in rows:
                number += 1
                lines += (self._line(row, number), b"\n")
            yield b"".join(lines)

    def _line(self, row: dict[str, Any], number: int) -> bytes:
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                row[name] = str(value)  # JSON has no such number; a field that takes one reads it back
        try:
            line = _encoder.encode(row)
        except (TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"row {number:,}: {error}", argument="source", index=number - 1) from error
        if len(line) > self._bounds.record_bytes:
            raise SourceError(
                f"row {number:,} is longer than {self._bounds.record_bytes:,} bytes (limits.record_bytes)",
                argument="source",
                index=number - 1,
            )
        return line
