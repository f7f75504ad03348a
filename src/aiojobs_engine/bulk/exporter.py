"""Exporters: job types whose handler yields rows, which become one file."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, cast

import msgspec

from aiojobs_engine.bulk.columns import Columns, plain
from aiojobs_engine.bulk.delivery import check_directory, checked_path, offered_name
from aiojobs_engine.bulk.export_parts import PartCodec, parted
from aiojobs_engine.bulk.export_rows import KeyReader, PartState
from aiojobs_engine.bulk.export_run import ExportContext, ExportRun
from aiojobs_engine.bulk.exported import ExportedFile
from aiojobs_engine.bulk.publishing import Order
from aiojobs_engine.bulk.sinks import Format, format_of
from aiojobs_engine.core.codec import handler_parameters
from aiojobs_engine.core.config import DeliverySettings, Settings
from aiojobs_engine.core.errors import ConfigError, ExportError, PayloadError
from aiojobs_engine.core.job import Job, RunIn
from aiojobs_engine.core.job_settings import DeliveryMode, DeliveryOverrides
from aiojobs_engine.core.options import layered
from aiojobs_engine.core.outcome import Failed, Outcome
from aiojobs_engine.core.status import Counters, ErrorInfo
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.ids import IdSource
from aiojobs_engine.runtime.registry import JobType, RowsLost, takes_context

MOST_PARTS = 500

_PERMANENT = "export"
_CALL: dict[str, Any] = {"to": str | None, "delivery": DeliveryMode | None}

Parts = Callable[..., Awaitable[Sequence[Any]]]


class ExportSpec(NamedTuple):
    """What an exporter is declared with, beside the options of every job.

    Attributes:
        columns: the fields of a row to export, in order; a mapping gives them other names in the file.
        key: the field, or fields, that the rows are ordered by; see `ExportType`.
        parts: names the parts that are read side by side.
        parallel: how many parts are read at once.
        spread: parts are jobs of their own.
        formulas: columns whose text may be a formula; that of all others is made harmless in CSV and Excel.
        format: of files whose call names none.
        delivery: what the decorator says of `[delivery]`.
    """

    columns: Sequence[str] | Mapping[str, str]
    key: str | Sequence[str] | None
    parts: Parts | None
    parallel: int
    spread: bool
    formulas: Sequence[str]
    format: str
    delivery: DeliveryOverrides


class ExportType(JobType[..., ExportedFile]):
    """A registered exporter.

    Without a key a run that was cut short starts anew. With one it goes on where it was: the handler yields
    its rows in the order of the key, and only those behind `ctx.cursor` when that is not None.

    Attributes:
        columns: what is exported.
        key_reader: reads the key of a row, None without one.
        parallel: how many parts are read at once.
        spread: parts are jobs of their own, which any workers run.
    """

    keeps_result = True

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str,
        spec: ExportSpec,
        options: Mapping[str, Any],
        ids: IdSource,
    ) -> None:
        """Compile the handler, its columns and its delivery.

        Raises:
            ConfigError: one of the arguments, or the handler's signature, can't be used.
        """
        super().__init__(fn, name=name, kind="export", options=options, ids=ids)
        owner = f"exporter {name!r}"
        self.columns = Columns(spec.columns, spec.formulas, owner)
        self.key = spec.key
        self.key_reader = None if spec.key is None else KeyReader(spec.key, owner)
        if isinstance(spec.parallel, bool) or not isinstance(spec.parallel, int) or spec.parallel < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"{owner}: parallel must be a whole number of at least 1, got {spec.parallel!r:.80}"
            )
        self.parallel = spec.parallel
        if not isinstance(spec.spread, bool) or (spec.spread and spec.parts is None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"{owner}: spread=True makes jobs of its parts, so it needs parts=")
        self.spread = spec.spread
        self.results = PartCodec()
        self._delivery = spec.delivery
        self._form = _form(spec.format, owner)
        self._parts = spec.parts
        self._parts_take_context, self._parts_take = self._checked_parts(spec.parts, owner)

    @property
    def has_key(self) -> bool:
        """Whether it goes on behind the last row that was kept."""
        return self.key_reader is not None

    def job(self, /, *args: Any, **kwargs: Any) -> Job[ExportedFile]:
        """An export with these arguments, not stored yet; dispatched twice it is one job.

        Beside the handler's own arguments it takes `to`, the path or name of the file, whose end says the
        form, and `delivery`, which says where it goes.

        Raises:
            PayloadError: the arguments don't fit the handler, can't be JSON, or `to` is no place for a file.
        """
        to = kwargs.get("to")
        if isinstance(to, os.PathLike):
            kwargs["to"] = os.fspath(cast("os.PathLike[str]", to))
        return self._export(self._placed(self.arguments.encode(args, kwargs)))

    def job_from_json(self, encoded: bytes) -> Job[ExportedFile]:
        """An export whose arguments are a JSON object already.

        Raises:
            PayloadError: as in `job`.
        """
        return self._export(self._placed(self.arguments.check(encoded)))

    def _export(self, payload: bytes) -> Job[ExportedFile]:
        strategy = "single" if self._parts is None else "batch"
        return msgspec.structs.replace(self._made(payload), strategy=strategy)

    async def perform(self, context: JobContext, claim: Claim) -> Outcome:
        """Make the file; whatever the handler raises goes to the caller."""
        part, arguments = parted(claim.envelope.payload)
        try:
            values = dict(zip(self.arguments.names, self.arguments.decode(arguments), strict=True))
            order = self._order(values, context.port.settings)
        except PayloadError as error:
            return Failed(error, permanent="payload")
        try:
            run = ExportRun(self, context, order, part)
            return await (run.done() if part is None else run.part_done(part))
        except ExportError as error:
            return Failed(error, permanent=_PERMANENT)

    async def lost_rows(self, context: JobContext, claim: Claim, error: ErrorInfo) -> RowsLost:
        """The progress so far; what lies in the storage is removed, for nobody will use it.

        Of a part that is a job of its own no rows count, and what others stored stays.
        """
        if parted(claim.envelope.payload)[0] is not None:
            return RowsLost(counters=Counters())
        await ExportRun.leave_nothing(context)
        return await super().lost_rows(context, claim, error)

    async def specs(self, context: JobContext, values: Mapping[str, Any]) -> list[Any]:
        """What the parts are called, as plain data; one without a name, when the exporter has no parts.

        Raises:
            ExportError: there are more than 500.
        """
        if self._parts is None:
            return [None]
        given = {name: values[name] for name in self._parts_take}
        found = (
            await self._parts(context, **given) if self._parts_take_context else await self._parts(**given)
        )
        specs = [plain(spec) for spec in found]
        if len(specs) > MOST_PARTS:
            raise ExportError(f"an export has at most {MOST_PARTS} parts, parts= gave {len(specs):,}")
        return specs

    def rows(self, context: JobContext, values: Mapping[str, Any]) -> AsyncGenerator[Any] | Iterator[Any]:
        """Call the handler: its rows, not begun yet."""
        given = {name: value for name, value in values.items() if name not in _CALL}
        return cast(
            "AsyncGenerator[Any] | Iterator[Any]",
            self.fn(context, **given) if self.takes_context else self.fn(**given),
        )

    async def _call(self, context: JobContext, args: tuple[Any, ...]) -> Any:
        run, part = cast("tuple[ExportRun, PartState]", args)
        await run.read_part(cast("ExportContext", context), part)

    def place(self, run_in: RunIn) -> None:
        """Run the handler in the loop or in a thread.

        Raises:
            ConfigError: it can't run there.
        """
        if run_in == "process":
            raise ConfigError(
                f"exporter {self.name!r} runs in the loop, or in a thread when it is a plain generator"
            )
        super().place(run_in)

    def _is_async(self, fn: Callable[..., Any]) -> bool:
        is_async = inspect.isasyncgenfunction(fn)
        if not is_async and not inspect.isgeneratorfunction(fn):
            raise ConfigError(
                f"exporter {self.name!r}: its handler is an async generator of rows, or a plain one"
            )
        return is_async

    def _parameters(self, fn: Callable[..., Any]) -> tuple[list[inspect.Parameter], dict[str, Any]]:
        parameters, hints = handler_parameters(fn)
        for parameter in parameters:
            if parameter.name in _CALL:
                raise ConfigError(
                    f"exporter {self.name!r} has a parameter {parameter.name!r}, which exports have already"
                )
        own = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in _CALL]
        return [*parameters, *own], {**hints, **_CALL}

    def _checked_parts(self, parts: Parts | None, owner: str) -> tuple[bool, list[str]]:
        if parts is None:
            return False, []
        if not inspect.iscoroutinefunction(parts):
            raise ConfigError(f"{owner}: parts is an async function that returns a list, got {parts!r:.80}")
        parameters, hints = handler_parameters(parts)
        has_context = takes_context(parameters, hints, f"parts of {owner}")
        names = [parameter.name for parameter in parameters[has_context:]]
        unknown = [name for name in names if name not in self.arguments.names or name in _CALL]
        if unknown:
            raise ConfigError(f"{owner}: parts takes {unknown[0]!r}, which is no argument of the handler")
        return has_context, names

    def _placed(self, encoded: bytes) -> bytes:
        """The payload with an absolute path, or with a bare name where the file stays in the storage."""
        fields = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
        to = msgspec.json.decode(fields.get("to", b"null"))
        delivery = msgspec.json.decode(fields.get("delivery", b"null"))
        if to is None:
            if delivery in ("download", "both"):
                raise PayloadError(
                    f"{self.name}: delivery={delivery!r} needs to=, the path of the file", argument="to"
                )
            return encoded
        form = format_of(to)
        if delivery == "link":
            place = offered_name(to, form.suffix, self.name)
        else:
            place = checked_path(to)
            check_directory(place)
        return msgspec.json.encode({**fields, "to": msgspec.Raw(msgspec.json.encode(place))})

    def _order(self, values: dict[str, Any], settings: Settings) -> Order:
        to: str | None = values["to"]
        form = self._form if to is None else format_of(to)
        delivery = self._resolved(settings, values["delivery"])
        if delivery.mode is None:
            delivery = msgspec.structs.replace(delivery, mode="link" if to is None else "download")
        path = None
        if delivery.mode != "link":
            if to is None or not PurePath(to).is_absolute():
                raise PayloadError(
                    f"{self.name}: delivery {delivery.mode!r} needs to=, an absolute path, got {to!r:.120}",
                    argument="to",
                )
            path = checked_path(to)
        return Order(
            values=values,
            form=form,
            delivery=delivery,
            path=path,
            name=offered_name(to or self.name, form.suffix, self.name),
        )

    def _resolved(self, settings: Settings, called: DeliveryMode | None) -> DeliverySettings:
        """Call over `[jobs]` over decorator over `[kinds]` over `[delivery]`."""
        found: DeliverySettings = layered(
            settings,
            "delivery",
            self.name,
            self.kind,
            decorated=self._delivery,
            called=DeliveryOverrides(mode=called),
        )
        return found


def _form(name: str, owner: str) -> Format:
    try:
        return format_of(f"file.{name.removeprefix('.')}")
    except PayloadError as error:
        raise ConfigError(f"{owner}: format: {error}") from error
