"""`@registry.importer(...)`: where importers are registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Unpack, cast

from aiojobs_engine.bulk.declared import NAMES, declared_by
from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.bulk.row_types import RowT
from aiojobs_engine.bulk.sources.opening import Format
from aiojobs_engine.core.job import CallOptions, RunIn
from aiojobs_engine.runtime import registry as runtime
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.cron import CronDecorator, CronOptions, cron


class ImporterOptions(CallOptions, total=False):
    """What the decorator of an importer takes beside its name and row type.

    Attributes:
        run_in: as for other job types.
        key: the field that tells rows apart; later rows of a source with the same value are skipped.
        chunk_size: rows per call, 1 to 100,000; `chunking.size` without one.
        format: `csv`, `tsv`, `json`, `jsonl`, `xlsx` or `parquet`; told by each file itself without one.
        encoding: that of text files, as Python names it; found in each file without one.
        delimiter: that of CSV files; found in each file without one.
        header: the names of the columns, for files whose first line is a row.
        sheet: the sheet of workbooks; the first one without.
    """

    run_in: RunIn
    key: str | None
    chunk_size: int | None
    format: Format | None
    encoding: str | None
    delimiter: str | None
    header: Sequence[str] | None
    sheet: str | None


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
