"""`@registry.importer(...)` and `@registry.exporter(...)`: where bulk jobs are registered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, Unpack, cast

import msgspec

from aiojobs_engine.bulk.declared import NAMES, declared_by
from aiojobs_engine.bulk.exporter import ExportSpec, ExportType, Parts
from aiojobs_engine.bulk.importer import Duplicates, ImportType
from aiojobs_engine.bulk.row_types import RowT
from aiojobs_engine.bulk.sources.opening import Format
from aiojobs_engine.core.config import seconds_of
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.job import CallOptions, RunIn
from aiojobs_engine.core.job_settings import DeliveryMode, DeliveryOverrides
from aiojobs_engine.runtime import registry as runtime
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.cron import CronDecorator, CronOptions, cron


class ImporterOptions(CallOptions, total=False):
    """What the decorator of an importer takes beside its name and row type.

    Attributes:
        run_in: as for other job types.
        key: the field that tells rows apart; later rows of a source with the same value are skipped.
        duplicates: with `earlier`, rows whose key an earlier import of this type brought in are skipped too,
            as long as that job is stored; `file` without.
        chunk_size: rows per call, 1 to 100,000; `chunking.size` without one.
        format: `csv`, `tsv`, `json`, `jsonl`, `xlsx` or `parquet`; told by each file itself without one.
        encoding: that of text files, as Python names it; found in each file without one.
        delimiter: that of CSV files; found in each file without one.
        header: the names of the columns, for files whose first line is a row.
        sheet: the sheet of workbooks; the first one without.
    """

    run_in: RunIn
    key: str | None
    duplicates: Duplicates
    chunk_size: int | None
    format: Format | None
    encoding: str | None
    delimiter: str | None
    header: Sequence[str] | None
    sheet: str | None
    label: str


class ExporterOptions(CallOptions, total=False):
    """What the decorator of an exporter takes beside its name and columns.

    Attributes:
        key: the field, or fields, that the rows are ordered by: a run that was cut short goes on behind the
            last row that was kept, whose key the handler finds as `ctx.cursor`.
        parts: an async function with arguments of the handler, which returns up to 500 names of parts, plain
            data. The handler is called for each and finds it as `ctx.part`; the file has them in that order.
        parallel: how many parts are read at once, 4 without.
        spread: make each part a job of its own, which any worker runs; all of them need the same storage.
        formulas: columns whose text may be a formula; in all others it is made harmless in CSV and Excel.
        format: of files whose call names none: `csv` without.
        delivery: `download`, `link` or `both`, as in `[delivery]`.
        keep: whether files in the storage are `temporary` or `permanent`.
        ttl: seconds, a `timedelta` or text like "2h": how long a temporary file is kept.
        label: what people call it.
    """

    key: str | Sequence[str] | None
    parts: Parts | None
    parallel: int
    spread: bool
    formulas: Sequence[str]
    format: str
    delivery: DeliveryMode
    keep: Literal["temporary", "permanent"]
    ttl: float | timedelta | str
    label: str


ExportHandler = Callable[..., AsyncIterator[Any]] | Callable[..., Iterator[Any]]


class ExportDecorator:
    """What `@registry.exporter(...)` returns: it takes the handler, with or without a context parameter."""

    def __init__(
        self,
        registry: runtime.JobRegistry,
        name: str | None,
        columns: Sequence[str] | Mapping[str, str],
        options: Mapping[str, Any],
    ) -> None:
        """Keep what the handler is to be registered with."""
        self._registry = registry
        self._name = name
        self._columns = columns
        self._options = options

    def __call__(self, fn: ExportHandler) -> ExportType:
        """Register the handler.

        Raises:
            ConfigError: its name is taken, or its signature or an option can't be used.
        """
        name = self._name or f"{runtime.module_of(fn)}.{fn.__qualname__}".replace(".<locals>", "")
        options = dict(self._options)
        spec = ExportSpec(
            columns=self._columns,
            key=options.pop("key", None),
            parts=options.pop("parts", None),
            parallel=options.pop("parallel", 4),
            spread=options.pop("spread", False),
            formulas=options.pop("formulas", ()),
            format=options.pop("format", "csv"),
            delivery=_delivery(options, f"exporter {name!r}"),
        )
        made = ExportType(fn, name=name, spec=spec, options=options, ids=self._registry.ids)
        self._registry.add(made)
        return made


def _delivery(options: dict[str, Any], owner: str) -> DeliveryOverrides:
    ttl = options.pop("ttl", None)
    if isinstance(ttl, timedelta):
        ttl = ttl.total_seconds()
    elif isinstance(ttl, str):
        ttl = seconds_of(ttl)
    given = {"mode": options.pop("delivery", None), "keep": options.pop("keep", None), "ttl": ttl}
    try:
        return msgspec.convert(given, DeliveryOverrides)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{owner}: {str(error).replace('$.mode', '$.delivery')}") from error


def exporter(
    registry: runtime.JobRegistry,
    name: str | None = None,
    *,
    columns: Sequence[str] | Mapping[str, str],
    **options: Unpack[ExporterOptions],
) -> ExportDecorator:
    """Register the decorated function in `registry` as an exporter; see `JobRegistry.exporter`."""
    return ExportDecorator(registry, name, columns, cast("Mapping[str, Any]", options))


class ImportDecorator(Generic[RowT]):
    """What `@registry.importer(...)` returns: it takes the handler, with or without a context parameter."""

    def __init__(
        self, registry: runtime.JobRegistry, name: str | None, row: type[RowT], options: Mapping[str, Any]
    ) -> None:
        """Keep what the handler is to be registered with."""
        self._registry = registry
        self._name = name
        self._row = row
        self._options = options

    def __call__(
        self, fn: Callable[[JobContext, list[RowT]], object] | Callable[[list[RowT]], object]
    ) -> ImportType[RowT]:
        """Register the handler.

        Raises:
            ConfigError: its name is taken, or its signature or row type can't be used.
        """
        handler = cast("Callable[..., Any]", fn)
        name = self._name or f"{handler.__module__}.{handler.__qualname__}".replace(".<locals>", "")
        declared = declared_by(name, self._options)
        options = {option: value for option, value in self._options.items() if option not in NAMES}
        made = ImportType(
            handler,
            name=name,
            row=self._row,
            key=options.pop("key", None),
            duplicates=options.pop("duplicates", "file"),
            chunk_size=options.pop("chunk_size", None),
            declared=declared,
            options=options,
            ids=self._registry.ids,
        )
        self._registry.add(made)
        return made


def importer(
    registry: runtime.JobRegistry,
    name: str | None = None,
    *,
    row: type[RowT],
    **options: Unpack[ImporterOptions],
) -> ImportDecorator[RowT]:
    """Register the decorated function in `registry` as an importer; see `JobRegistry.importer`."""
    return ImportDecorator(registry, name, row, cast("Mapping[str, Any]", options))


class JobRegistry(runtime.JobRegistry):
    """Job types by name, collected in any module and adopted by an engine.

    Attributes:
        types: by name, in the order of registration.
        crons: the cron entries by name, which is that of their job type.
    """

    def importer(
        self, name: str | None = None, *, row: type[RowT], **options: Unpack[ImporterOptions]
    ) -> ImportDecorator[RowT]:
        """Register the decorated function as an importer: it gets a list of rows of the type `row`.

        Args:
            name: `module.function` without one.
            row: a msgspec struct, dataclass, TypedDict, pydantic model or `dict[str, str]`.
            options: those of `ImporterOptions`.
        """
        return importer(self, name, row=row, **options)

    def exporter(
        self,
        name: str | None = None,
        *,
        columns: Sequence[str] | Mapping[str, str],
        **options: Unpack[ExporterOptions],
    ) -> ExportDecorator:
        """Register the decorated function as an exporter: an async generator of rows, which become one file.

        Rows are structs, dataclasses, mappings, or sequences with one value per column. A plain generator
        runs in a thread.

        Args:
            name: `module.function` without one.
            columns: the fields of a row to export, in order; a mapping gives them other names in the file.
            options: those of `ExporterOptions`.
        """
        return exporter(self, name, columns=columns, **options)

    def cron(self, expression: str, **options: Unpack[CronOptions]) -> CronDecorator:
        """Register the decorated function as a job type and as a cron entry of the same name.

        Args:
            expression: five fields, six with seconds first, or a nickname like `@daily`.
            options: those of `CronOptions`: when it fires, `args`, and the options of a job type.

        Raises:
            ConfigError: the expression is malformed or never fires, the time zone is unknown, or an option
                is wrong.
        """
        return cron(self, expression, cast("Mapping[str, Any]", options))
