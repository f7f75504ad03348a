"""Importers: job types whose handler gets rows, checked and by the chunk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Literal, Unpack, cast, get_args

import msgspec

from aiojobs_engine.bulk.call import MOST_ROWS, parsed_call
from aiojobs_engine.bulk.chunk import PartRun, TooManyFailures, bare_faults, lost_faults
from aiojobs_engine.bulk.earlier import imported
from aiojobs_engine.bulk.intake import Place, Source, bounds_of, is_file, opened_source, store_source
from aiojobs_engine.bulk.place import place_of
from aiojobs_engine.bulk.plan import Part, Plan, decode_plan, encode_plan
from aiojobs_engine.bulk.planner import has_more_rows, spawn, whole
from aiojobs_engine.bulk.preview import Preview, previewed
from aiojobs_engine.bulk.report import ImportReport, Tally, kept
from aiojobs_engine.bulk.row_types import RowT
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.bulk.seen_keys import Imported
from aiojobs_engine.bulk.sources.opening import Declared
from aiojobs_engine.bulk.template import TemplateFormat, template
from aiojobs_engine.core.codec import ResultCodec
from aiojobs_engine.core.config import ChunkingSettings, LimitSettings, Settings
from aiojobs_engine.core.errors import ConfigError, EngineError, PayloadError, SourceChanged, SourceError
from aiojobs_engine.core.instant import Instant, later
from aiojobs_engine.core.job import CallOptions, Job
from aiojobs_engine.core.job_settings import ChunkingOverrides
from aiojobs_engine.core.options import layered
from aiojobs_engine.core.outcome import Cancelled, Failed, Outcome, RowsDone, Spawned
from aiojobs_engine.core.status import NO_COUNTERS, Counters, ErrorInfo
from aiojobs_engine.ports.backend import Claim, Record
from aiojobs_engine.ports.storage import Storages
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.ids import IdSource
from aiojobs_engine.runtime.registry import JobType, RowsLost

Duplicates = Literal["file", "earlier"]
"""Where an importer looks for rows of the same key: in the file, or in earlier imports of its type too."""

_TOO_MANY = "max_failures"
_DISPATCHING = 86_400.0  # seconds; what a dispatcher leaves that died before its job was stored, goes then
_LEAST_ROWS = 100  # a share of fewer rows says little


class ImportType(JobType[[Source], ImportReport], Generic[RowT]):
    """A registered importer.

    Attributes:
        model: its row type.
        chunk_size: rows per chunk, None for the configured size.
        duplicates: where rows of the same key are looked for: in the `file`, or in `earlier` imports too.
        declared: what it says of its sources.
    """

    keeps_result = True

    def __init__(
        self,
        fn: Any,
        *,
        name: str,
        row: type[RowT],
        key: str | None,
        duplicates: Duplicates,
        chunk_size: int | None,
        declared: Declared,
        options: Mapping[str, Any],
        ids: IdSource,
    ) -> None:
        """Compile the handler and the row type.

        Raises:
            ConfigError: one of the arguments, or the handler's signature, can't be used.
        """
        super().__init__(fn, name=name, kind="import", options=options, ids=ids)
        if len(self.arguments.names) != 1:
            raise ConfigError(
                f"importer {name!r} takes {', '.join(self.arguments.names) or 'nothing'}; "
                "an importer's handler takes a list of rows, and may take a JobContext before it"
            )
        if chunk_size is not None and not 1 <= chunk_size <= MOST_ROWS:
            raise ConfigError(f"importer {name!r}: chunk_size must be 1 to {MOST_ROWS:,}, got {chunk_size!r}")
        _check_duplicates(name, key, duplicates)
        self.model = RowModel(row, key, f"importer {name!r}")
        self.duplicates = duplicates
        self.results = ResultCodec(ImportReport)
        self.chunk_size = chunk_size
        self.declared = declared

    def options(self, **options: Unpack[CallOptions]) -> ImportType[RowT]:
        """The same importer with options for one call; they win over all others.

        Raises:
            ConfigError: an option is unknown or out of range.
        """
        return cast("ImportType[RowT]", super().options(**options))

    def job(self, *args: Any, **kwargs: Any) -> Job[ImportReport]:
        """Refuse: a job of rows exists only once they are stored, and `engine.dispatch` does both.

        Raises:
            ConfigError: always.
        """
        del args, kwargs
        raise ConfigError(
            f"{self.name} is an importer, whose rows are stored first: use engine.dispatch(importer, source)"
        )

    def job_from_json(self, encoded: bytes) -> Job[ImportReport]:
        """Refuse, as `job` does."""
        return self.job(encoded)

    async def prepared(
        self,
        storages: Storages,
        settings: Settings,
        now: Instant,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Job[ImportReport]:
        """Check the arguments of a dispatch, store the source, and make the job; `args` is the source.

        The storage forgets the source after a day, unless it is told to `keep` what the stored job has.

        Raises:
            SourceError: the source can't be imported; nothing is stored.
            PayloadError: another argument is wrong.
            ConfigError: this release can't read the format, or the storage can't be used.
        """
        source, call = parsed_call(self.name, args, kwargs)
        job_id: str = self._call_options.get("id") or self._ids()

        chunking: ChunkingSettings = layered(
            settings,
            "chunking",
            self.name,
            self.kind,
            decorated=ChunkingOverrides(size=self.chunk_size),
            called=ChunkingOverrides(size=call.chunk_size),
        )
        check = partial(self.model.check, call.mapping)
        storage = storages.of(self.name, self.kind)
        place = Place(storage, job_id, later(now, _DISPATCHING))
        stored = await store_source(place, source, self.declared, bounds_of(settings.limits), check)
        plan = Plan(
            source=stored.name,
            size=stored.size,
            form=stored.form,
            label=stored.label,
            chunk_size=chunking.size,
            mapping=call.mapping,
            is_single=call.force_single,
            dry_run=call.dry_run,
            allow_duplicates=call.allow_duplicates,
            max_failures=call.max_failures,
            max_failure_rate=call.max_failure_rate,
            found=kept(stored.found),
        )
        if not call.force_single:
            async with storage.open(stored.name) as path:
                is_single = not await has_more_rows(path, plan, chunking.threshold)
            plan = msgspec.structs.replace(plan, is_single=is_single)
        return Job(
            id=job_id,
            type=self.name,
            kind=self.kind,
            payload=encode_plan(plan),
            options=self._call_options,
            strategy="single" if plan.is_single else "batch",
        )

    async def preview(
        self, source: Source, *, mapping: Mapping[str, str] | None = None, limits: LimitSettings | None = None
    ) -> Preview:
        """Look at the beginning of a path or an open file, which is read from, and store nothing.

        Args:
            mapping: columns whose fields are known.
            limits: those of the engine's settings, when they are not the default ones.

        Raises:
            SourceError: the source can't be imported, whatever its columns.
            ConfigError: its format needs an extra that is not installed.
        """
        if not is_file(source):
            raise SourceError("a preview takes a path or an open binary file", argument="source")
        bounds = bounds_of(limits or LimitSettings())
        given = dict(mapping or {})
        async with opened_source(source, self.declared, bounds, self.model.likely(given)) as (made, _):
            found = made.found
        self.model.check_mapping(given, found.columns)
        return previewed(found, self.model.fields, self.model.required, given)

    def template(self, format: TemplateFormat = "csv") -> bytes:
        """An empty file with the columns of the row type, as `csv`, `tsv` or `xlsx`.

        Raises:
            ConfigError: the row type takes any columns, or the extra for `xlsx` is not installed.
        """
        return template(list(self.model.fields), format, f"importer {self.name!r}")

    async def perform(self, context: JobContext, claim: Claim) -> Outcome:
        """Plan an import, or run the handler on the rows of a part; whatever it raises goes to the caller."""
        try:
            plan = decode_plan(claim.envelope.payload)
        except PayloadError as error:
            return Failed(error, permanent="payload")
        try:
            if plan.part is not None:
                return await self._chunk(context, plan, plan.part)
            if plan.is_single:
                return await self._single(context, plan)
            async with self._imported(context, plan) as known:
                report = await spawn(context, plan, self.model.key, known)
        except SourceChanged as error:
            return Failed(error, permanent="source_changed")
        except TooManyFailures as error:
            return Failed(error, permanent=_TOO_MANY)
        return Spawned(report)

    def salvage_cursor(self, claim: Claim) -> bytes | None:
        """One, when the job has rows that can be parted, and was not salvaged yet."""
        plan, place = _plan_of(claim), place_of(claim)
        if plan is None or place.salvage or (plan.part is None and not plan.is_single):
            return None
        return place.salvaging().encoded()

    async def lost_rows(self, context: JobContext, claim: Claim, error: ErrorInfo) -> RowsLost:
        """All rows of the part failed, with the message of the job's own failure."""
        plan = _plan_of(claim)
        part = None if plan is None else plan.part
        if plan is None or (part is None and not plan.is_single):
            return RowsLost(counters=claim.counters)
        message, place = error.message or error.type, place_of(claim)
        before = claim.counters if place.done_to else NO_COUNTERS
        try:
            part = part or await self._whole(context, plan)
            # only where the rows are known to be harmless: after a crash they may take this worker along
            is_harmless = error.reason == _TOO_MANY
            faults = await lost_faults(self, context, plan, part, message, check=is_harmless)
        except (EngineError, OSError):
            if part is None:
                total = claim.counters.total
                return RowsLost(
                    counters=Counters(before.succeeded, total - before.succeeded, before.skipped, total)
                )
            faults = bare_faults(part, message, place)
        skipped = part.rows - before.processed - len(faults)
        counters = Counters(
            before.succeeded + skipped, before.failed + len(faults), before.skipped + skipped, part.rows
        )
        return RowsLost(counters=counters, faults=tuple(faults), resolved=() if part.is_retry else None)

    async def _chunk(self, context: JobContext, plan: Plan, part: Part) -> Outcome:
        if not part.is_retry and await _has_failed(context, plan):
            return Cancelled()
        return await PartRun(self, context, plan, part).done()

    async def _single(self, context: JobContext, plan: Plan) -> RowsDone:
        part = await self._whole(context, plan)
        if part.rows != context.claim.counters.total:
            await context.port.record(Record(lease=context.claim.lease, counters=Counters(total=part.rows)))
        done = await PartRun(self, context, plan, part).done(most_faults=_most_faults(plan, part.rows))
        tally = Tally()
        tally.add([part])
        return replace(done, result=tally.report(plan))

    async def _whole(self, context: JobContext, plan: Plan) -> Part:
        async with self._imported(context, plan) as known, context.port.storage.open(plan.source) as path:
            return await whole(path, plan, self.model.key, known)

    @asynccontextmanager
    async def _imported(self, context: JobContext, plan: Plan) -> AsyncGenerator[Imported | None]:
        if self.duplicates == "file" or plan.allow_duplicates:
            yield None
            return
        async with imported(context, plan, self.model) as known:
            yield known


def _check_duplicates(name: str, key: str | None, duplicates: object) -> None:
    if duplicates not in get_args(Duplicates):
        raise ConfigError(
            f"importer {name!r}: duplicates must be 'file' or 'earlier', got {duplicates!r:.80}"
        )
    if duplicates == "earlier" and key is None:
        raise ConfigError(f"importer {name!r}: duplicates='earlier' needs a key= that tells rows apart")


def _plan_of(claim: Claim) -> Plan | None:
    try:
        return decode_plan(claim.envelope.payload)
    except PayloadError:
        return None


async def _has_failed(context: JobContext, plan: Plan) -> bool:
    """Whether the import of this chunk has too many failed rows; it is cancelled then."""
    if plan.max_failures is None and plan.max_failure_rate is None:
        return False
    parent_id = context.claim.envelope.parent_id
    jobs = context.engine.jobs
    status = await jobs.get(parent_id)
    most = _most_faults(plan, status.processed)
    if most is None or status.failed <= most:
        return False
    await jobs.cancel(parent_id)
    return True


def _most_faults(plan: Plan, rows: int) -> int | None:
    """How many of `rows` may fail, None for all."""
    most = plan.max_failures
    if plan.max_failure_rate is not None and rows >= _LEAST_ROWS:
        share = int(plan.max_failure_rate * rows)
        most = share if most is None else min(most, share)
    return most
