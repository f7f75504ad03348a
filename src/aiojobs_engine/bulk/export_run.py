"""One run of an export: rows into segments, segments into one file, and the file to where it is to go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
import msgspec

from aiojobs_engine.bulk.export_parts import PartOrder, gathered
from aiojobs_engine.bulk.export_rows import PartState, PartWriter, from_thread
from aiojobs_engine.bulk.exported import ExportedFile, new_owner
from aiojobs_engine.bulk.publishing import Order, Publisher
from aiojobs_engine.bulk.sinks import sink_of
from aiojobs_engine.bulk.sinks.compression import check_compression
from aiojobs_engine.core.errors import ConfigError, ExportError
from aiojobs_engine.core.outcome import Spawned, Succeeded
from aiojobs_engine.runtime.context import JobContext, enter_context

if TYPE_CHECKING:
    from aiojobs_engine.bulk.exporter import ExportType

_SHORTEST = 1.0
_SHARE = 0.02


class ExportState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far an export is: its checkpoint.

    Attributes:
        shape: tells whether segments of an older release still fit.
        owner: of the file in the storage.
        file: what was published already.
        turn: how often its parts were begun anew, where they are jobs of their own.
    """

    shape: str
    parts: list[PartState] = []
    owner: str | None = None
    file: ExportedFile | None = None
    turn: int = 0


class ExportContext(JobContext):
    """What the handler of an export sees: its part, and the key of the last row that is kept."""

    __slots__ = ("_part", "_run")

    def __init__(self, run: ExportRun, part: PartState) -> None:
        """Belong to a part of `run`."""
        super().__init__(run.context.claim, run.context.port)
        self._run = run
        self._part = part

    @property
    def cursor(self) -> Any:
        """The key of the last row that is kept; None at the beginning of the part."""
        return self._part.cursor

    @property
    def part(self) -> Any:
        """Which part this call makes; None without parts."""
        return self._part.spec

    async def tell(self, processed: int, total: int | None = None, message: str | None = None) -> None:
        """Say how many rows there will be, and what goes on; the rows themselves are counted anyway."""
        del processed
        await self._run.announce(total, message)

    async def keep(self, value: Any) -> None:
        """Refuse: pages are kept by themselves where the exporter has a key.

        Raises:
            ConfigError: always.
        """
        del value
        raise ConfigError(
            "an exporter keeps its own place: give it key=, and yield what is behind ctx.cursor"
        )


class ExportRun:
    """The run of one export.

    Attributes:
        context: that of the job.
    """

    def __init__(
        self, job_type: ExportType, context: JobContext, order: Order, part: PartOrder | None = None
    ) -> None:
        """Go on where the checkpoint says; with `part` that one alone.

        Raises:
            ConfigError: an extra is not installed.
        """
        check_compression(order.form.compression)
        self.context = context
        self._type = job_type
        self._order = order
        self._part = part
        self._owner = context.id if part is None else part.export_id
        self._sink = sink_of(order.form, job_type.columns)
        self._publisher = Publisher(context, order, self._sink)
        self._storage = context.port.storage
        self._place = self._storage.of(job_type.name, job_type.kind)
        self._state = self._resumed()
        self._rows = sum(part.rows for part in self._state.parts)
        self._total: int | None = None
        self._began = self._saved = context.port.monotonic()
        self._saving = anyio.Lock()

    async def part_done(self, part: PartOrder) -> Succeeded:
        """Store the rows of one part.

        Raises:
            ExportError: rows can't be written.
            StopAtCheckpoint: the worker stops, or the job is to pause.
            Exception: what the handler raised.
        """
        if not await self._has_all_segments():
            self._state.parts = []
        if not self._state.parts:
            self._state.parts, self._rows = [PartState(spec=part.spec)], 0
        await self._read_parts()
        await self.context.tell(self._rows, self._rows)
        return Succeeded(self._state.parts[0])

    async def done(self) -> Succeeded | Spawned:
        """Make the file, all of it or none.

        Raises:
            ExportError: rows can't be written, or the place can't be.
            StopAtCheckpoint: the worker stops, or the job is to pause.
            Exception: what the handler raised.
        """
        state = self._state
        if state.file is None:
            if not await self._has_all_segments():
                self.context.logger.warning("segments of the export are gone; it starts anew")
                state.parts, self._rows, state.turn = [], 0, state.turn + 1
            if not state.parts:
                specs = await self._type.specs(self.context, self._order.values)
                state.parts = [PartState(spec=spec) for spec in specs]
            if not self._type.spread or len(state.parts) < 2:  # noqa: PLR2004 - one part is the whole
                await self._read_parts()
            elif not await self._are_gathered():
                return Spawned()
            await self.context.tell(self._rows, self._rows)
            if state.owner is not None:
                await self._storage.remove(state.owner)
            state.owner = new_owner()
            await self._save()
            segments = [name for part in state.parts for name in part.segments]
            state.file = await self._publisher.published(segments, self._rows, state.owner)
            await self._save()
        await self._storage.remove(self.context.id)
        return Succeeded(state.file)

    async def _are_gathered(self) -> bool:
        """Whether all parts are there, which other jobs make."""
        state = self._state
        if not all(part.ended for part in state.parts):
            await self._save()
            made = await gathered(self.context, state.parts, state.turn)
            if made is None:
                return False
            state.parts, self._rows = made, sum(part.rows for part in made)
            if not await self._has_all_segments():
                raise ExportError("what the parts stored is not here; all workers need the same storage")
        return True

    @staticmethod
    async def leave_nothing(context: JobContext) -> None:
        """Remove what an export that failed for good has in the storage."""
        await context.port.storage.remove(context.id)
        with suppress(msgspec.ValidationError):
            kept = msgspec.convert(context.cursor, ExportState)
            if kept.owner is not None:
                await context.port.storage.remove(kept.owner)

    async def rows_came(self, count: int) -> None:
        """Count rows that are encoded, and have time for more.

        Raises:
            LeaseLostError: another worker holds the job now.
        """
        self._rows += count
        total = self._total if self._total is not None and self._total > self._rows else None
        await self.context.tell(self._rows, total)
        self.context.port.touch(self.context.claim)

    def is_checkpoint_due(self) -> bool:
        """Whether rows are to be kept now: after a second, later after a fiftieth of the run so far.

        Without a key none can be kept, and the run stops only where it is to pause.
        """
        if not self._type.has_key:
            return self.context.pausing
        now = self.monotonic()
        return self.context.stopping or now - self._saved >= max(_SHORTEST, _SHARE * (now - self._began))

    def monotonic(self) -> float:
        """Seconds."""
        return self.context.port.monotonic()

    async def announce(self, total: int | None, message: str | None) -> None:
        """What the handler knows of the whole."""
        self._total = self._total if total is None else total
        await self.context.tell(self._rows, max(self._total or 0, self._rows), message)

    def _resumed(self) -> ExportState:
        order, columns = self._order, self._type.columns
        described = msgspec.json.encode([columns.fields, columns.labels, order.form, self._type.key])
        fresh = ExportState(shape=blake2b(described, digest_size=8).hexdigest())
        if self.context.cursor is None:
            return fresh
        try:
            kept = msgspec.convert(self.context.cursor, ExportState)
        except msgspec.ValidationError:
            return fresh
        if kept.shape != fresh.shape:
            return fresh
        for part in kept.parts:
            if not self._type.has_key and not part.ended:
                part.segments, part.rows = [], 0
        return kept

    async def _has_all_segments(self) -> bool:
        for part in self._state.parts:
            for name in part.segments:
                async with self._storage.open(name) as path:
                    if not await anyio.to_thread.run_sync(path.is_file):
                        return False
        return True

    async def _save(self) -> None:
        async with self._saving:
            await self.context.keep(msgspec.to_builtins(self._state))
            self._saved = self.monotonic()

    async def _read_parts(self) -> None:
        left = [part for part in self._state.parts if not part.ended]
        waiting = iter(left)
        if len(left) == 1 or self._type.parallel == 1:
            await self._read_each(waiting)
            return
        try:
            async with anyio.create_task_group() as group:
                for _ in range(self._type.parallel):
                    group.start_soon(self._read_each, waiting)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _read_each(self, waiting: Iterator[PartState]) -> None:
        for part in waiting:
            context = ExportContext(self, part)
            enter_context(context)
            await self._type.invoke(context, (self, part))

    async def read_part(self, context: ExportContext, part: PartState) -> None:
        """Write one part, from its last checkpoint to its end.

        Raises:
            Exception: what the handler raised.
        """
        async with aclosing(self._handler_rows(context)) as rows:
            writer = PartWriter(
                part, rows, columns=self._type.columns, sink=self._sink, key=self._type.key_reader
            )
            while not part.ended:
                await writer.segment(self._place, self._owner, self)
                if self._type.has_key or part.ended:
                    if self._type.has_key or len(self._state.parts) > 1:
                        await self._save()
                else:
                    await self._pause_anew(part)

    async def _pause_anew(self, part: PartState) -> None:
        """Stop in a part that no key tells the place in: it begins anew later; parts that have ended stay.

        Raises:
            StopAtCheckpoint: always.
        """
        for name in part.segments:
            await self._storage.remove(name)
        self._rows -= part.rows
        part.segments, part.rows = [], 0
        await self.context.tell(self._rows)
        await self._save()

    def _handler_rows(self, context: ExportContext) -> AsyncGenerator[Any]:
        found = self._type.rows(context, self._order.values)
        if isinstance(found, AsyncGenerator):
            return found
        return from_thread(partial(context.port.in_thread, context), found, self.monotonic)


def _first(error: BaseException) -> BaseException:
    """The first error inside of groups, however deep they nest."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast("BaseExceptionGroup[BaseException]", error)
        return _first(inner.exceptions[0])
    return error
