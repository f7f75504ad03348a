"""From segments to one file, and to where it is to go: it appears there whole, or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import msgspec

from aiojobs_engine.bulk.delivery import Target
from aiojobs_engine.bulk.exported import ExportedFile, KeptFile, keep
from aiojobs_engine.bulk.sinks import Format, Sink
from aiojobs_engine.bulk.sinks.compression import compressed
from aiojobs_engine.core.config import DeliverySettings
from aiojobs_engine.core.instant import later, moment
from aiojobs_engine.ports.backend import Record
from aiojobs_engine.runtime.context import JobContext

T = TypeVar("T")

_READ = 1024 * 1024


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one export is to make.

    Attributes:
        values: the handler's arguments by name.
        path: where the file is to be put, None without.
        name: the file's own name.
    """

    values: dict[str, Any]
    form: Format
    delivery: DeliverySettings
    path: str | None
    name: str


class Publisher:
    """Makes the file of one export."""

    def __init__(self, context: JobContext, order: Order, sink: Sink) -> None:
        """Write what `order` says by `sink`."""
        self._context = context
        self._order = order
        self._sink = sink
        self._storage = context.port.storage
        self._place = self._storage.of(context.type, context.claim.envelope.kind)
        self._segments: Sequence[str] = ()
        self._rows = 0

    async def published(self, segments: Sequence[str], rows: int, owner: str) -> ExportedFile:
        """The file of all segments, at its place; what is kept in the storage belongs to `owner`.

        Raises:
            DeliveryError: it can't be put there.
            ExportError: its form can't hold so much.
            LeaseLostError: another worker holds the job now.
        """
        order, measured = self._order, _Measured()
        self._segments, self._rows = segments, rows
        if order.delivery.mode == "download" and order.path is not None:
            await self._put(order.path, self._blocks(measured))
            return self._described(measured, path=order.path)
        try:
            return await self._kept(owner, measured)
        except Exception:
            await self._storage.remove(owner)
            raise

    async def _kept(self, owner: str, measured: _Measured) -> ExportedFile:
        order, storage, claim = self._order, self._place, self._context.claim
        until = None
        if order.delivery.keep == "temporary":
            until = later(self._context.port.now(), order.delivery.ttl)
            await storage.keep_until(owner, until)
        content = await storage.put(owner, self._blocks(measured))
        path = order.path if order.delivery.mode == "both" else None
        if path is not None:
            async with storage.open(content) as stored:
                await self._put(path, self._in_steps(_read([stored])))
        file = self._described(measured, path=path)
        if until is not None:
            file = msgspec.structs.replace(file, expires_at=moment(until))
        return await keep(
            storage,
            owner,
            KeptFile(
                file=file,
                content=content,
                job_id=self._context.id,
                type=self._context.type,
                user_id=claim.envelope.user_id,
            ),
        )

    async def _put(self, path: str, blocks: AsyncGenerator[bytes]) -> None:
        """Make the file appear at `path`, if the job is still this run's."""
        target = await _in_thread(Target, path, self._context.id)
        try:
            async with aclosing(blocks):
                async for block in blocks:
                    await _in_thread(target.write, block)
            await _in_thread(target.sync)
            await self._context.port.record(Record(lease=self._context.claim.lease))
            await _in_thread(target.publish)
        except BaseException:
            target.discard()
            raise

    async def _blocks(self, measured: _Measured) -> AsyncGenerator[bytes]:
        """The whole file."""
        async with AsyncExitStack() as stack:
            opened = [self._storage.open(name) for name in self._segments]
            paths = [await stack.enter_async_context(each) for each in opened]
            made = compressed(self._sink.blocks(partial(_read, paths)), self._order.form.compression)
            async with aclosing(self._in_steps(measured.through(made))) as blocks:
                async for block in blocks:
                    yield block

    async def _in_steps(self, blocks: Generator[bytes]) -> AsyncGenerator[bytes]:
        """Blocks of a blocking generator, run in threads; each starts the job's deadline anew."""
        try:
            while (block := await _in_thread(_next_of, blocks)) is not None:
                self._context.port.touch(self._context.claim)
                if block:
                    yield block
        finally:
            with suppress(ValueError):  # cancelled while a thread is inside; it ends with its step
                blocks.close()

    def _described(self, measured: _Measured, *, path: str | None) -> ExportedFile:
        return ExportedFile(
            name=self._order.name,
            rows=self._rows,
            size=measured.size,
            media_type=self._order.form.media_type,
            sha256=measured.digest.hexdigest(),
            path=path,
        )


class _Measured:
    """How large a file is, and its digest."""

    def __init__(self) -> None:
        self.size = 0
        self.digest = sha256()

    def through(self, blocks: Iterator[bytes]) -> Generator[bytes]:
        """The same blocks, measured."""
        for block in blocks:
            self.digest.update(block)
            self.size += len(block)
            yield block


def _next_of(blocks: Generator[bytes]) -> bytes | None:
    return next(blocks, None)


def _read(paths: Sequence[Path]) -> Generator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_READ):
                yield block


async def _in_thread(call: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(call, *args)
