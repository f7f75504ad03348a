"""Which keys earlier imports of a type brought in, as the store and the storage still have it.

Nothing is written down for it: a row is in when its chunk has settled and the row is no unresolved failure,
and its key stands in the stored source. So what counts is never ahead of what is in, whatever dies, and it is
forgotten with the job, when retention or a person removes it.
"""

import logging
from array import array
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from aiojobs_engine.bulk.chunk import in_reader
from aiojobs_engine.bulk.failures import unresolved_rows
from aiojobs_engine.bulk.plan import Part, Plan, decode_plan
from aiojobs_engine.bulk.reading import opened
from aiojobs_engine.bulk.rows import RowModel
from aiojobs_engine.bulk.seen_keys import Imported
from aiojobs_engine.bulk.sources import JsonLines
from aiojobs_engine.core.errors import ConfigError, PayloadError, SourceChanged
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import JobFilter, Store
from aiojobs_engine.runtime.context import JobContext

logger = logging.getLogger(__name__)

MOST_FAILED = 300_000

_PAGE = 500
_ALL = 2**62

Plain = Callable[[bytes], bytes]


class _Stretch(NamedTuple):
    """The row numbers from `first` to `last`, of which the first `rows` that are no empty lines are done."""

    first: int
    last: int
    rows: int


class _Past(NamedTuple):
    """An earlier import.

    Attributes:
        done: the rows that are through, in order.
        failed: the numbers of those that are not in, in order.
    """

    plan: Plan
    done: Sequence[_Stretch]
    failed: Sequence[int]


@asynccontextmanager
async def imported(context: JobContext, plan: Plan, model: RowModel[Any]) -> AsyncGenerator[Imported]:
    """The keys that earlier imports of the same type have brought in so far, for rows of `plan`.

    Those are left out whose source is gone, and those with more than 300,000 unresolved failed rows.
    """
    store: Store = context.engine.store
    with cast("BinaryIO", TemporaryFile()) as digests:
        for status in await _imports(store, context.type, context.id):
            past = await _past(store, status)
            if past is None:
                continue
            plain = _plain(past.plan, model)
            async with context.port.storage.open(past.plan.source) as path:
                try:
                    write = partial(_write, path, past, model.key, plain, digests)
                    await in_reader(write, abandon_on_cancel=False)
                except (SourceChanged, ConfigError) as error:
                    logger.warning("the rows of import %s are no longer known: %s", status.id, error)
            context.port.touch(context.claim)
        yield Imported(digests, _plain(plan, model))


async def _imports(store: Store, job_type: str, own_id: str) -> list[JobStatus]:
    """All others of the type in which a row has succeeded."""
    found: list[JobStatus] = []
    after: str | None = None
    while True:
        page, after = await store.find(JobFilter(type=job_type), _PAGE, after)
        found += (job for job in page if job.parent_id is None and job.id != own_id and job.succeeded)
        if after is None:
            return found


async def _past(store: Store, status: JobStatus) -> _Past | None:
    (envelope,) = await store.envelopes([status.id])
    if envelope is None:
        return None
    try:
        plan = decode_plan(envelope.payload)
    except PayloadError:
        return None
    if plan.dry_run or status.failed > MOST_FAILED:
        return None
    if status.processed == status.total and (status.status in FINAL or status.status is Status.WAITING):
        done: list[_Stretch] = [_Stretch(1, _ALL, _ALL)]
    elif plan.is_single:
        done = [_Stretch(1, _ALL, _settled(status))]
    else:
        done = await _chunks(store, status.id)
    if not any(stretch.rows for stretch in done):
        return None
    # read last, so that no row counts whose chunk settled before and whose failure would be missed
    return _Past(plan, done, await unresolved_rows(store, status.id))


async def _chunks(store: Store, job_id: str) -> list[_Stretch]:
    """What the chunks of an import have done."""
    done: list[_Stretch] = []
    after: str | None = None
    while True:
        page, after = await store.find(JobFilter(parent_id=job_id), _PAGE, after)
        settled = [job for job in page if _settled(job)]
        envelopes = await store.envelopes([job.id for job in settled])
        for job, envelope in zip(settled, envelopes, strict=True):
            part = None if envelope is None else decode_plan(envelope.payload).part
            if part is not None and not part.is_retry:
                done.append(_stretch(part, _settled(job)))
        if after is None:
            return sorted(done)


def _settled(job: JobStatus) -> int:
    """How many rows of a job are through for good; those of a run under way may come again."""
    return 0 if job.status is Status.PROCESSING else job.processed


def _stretch(part: Part, rows: int) -> _Stretch:
    numbers = [span.first for span in part.spans] + [each.number for each in part.unreadable]
    ends = [span.first + span.records - 1 for span in part.spans] + [each.number for each in part.unreadable]
    return _Stretch(min(numbers), max(ends), rows)


def _write(path: Path, past: _Past, key: str | None, plain: Plain | None, digests: BinaryIO) -> None:
    """Add the digests of the keys that are in; blocking."""
    plan = past.plan
    failed = set(past.failed)
    lost: set[int] = set()  # keys of failed rows: what has the same key behind them was skipped
    stretches = _Stretches(past.done)
    first = 1
    with opened(path, plan) as file:
        for window in plan.form.scan(file, plan.mapping, key):
            keys = window.keys or [b""] * len(window.lengths)
            found = list(map(hash, keys if plain is None else map(plain, keys)))
            numbers = range(first, first + len(found))
            first += len(found)
            if not failed.isdisjoint(numbers):
                lost.update(digest for digest, number in zip(found, numbers, strict=True) if number in failed)
            if stretches.are_all and not lost:
                array("q", found).tofile(digests)
                continue
            done = stretches.of(numbers, window.blanks)
            array(
                "q",
                (
                    found[at]
                    for at in done
                    if numbers[at] not in failed and (plan.allow_duplicates or found[at] not in lost)
                ),
            ).tofile(digests)


class _Stretches:
    """Walks through stretches in the order of rows."""

    def __init__(self, stretches: Sequence[_Stretch]) -> None:
        self._coming = iter(stretches)
        self._now = next(self._coming, None)
        self._done = 0

    @property
    def are_all(self) -> bool:
        """Whether every row is done, so that none needs to be counted."""
        return self._now is not None and self._now.rows == _ALL

    def of(self, numbers: range, blanks: frozenset[int]) -> Iterator[int]:
        """The positions in `numbers` of rows that are done."""
        for position, number in enumerate(numbers):
            while self._now is not None and number > self._now.last:
                self._now, self._done = next(self._coming, None), 0
            if self._now is None:
                return
            if number < self._now.first or position in blanks:
                continue
            if self._done < self._now.rows:
                self._done += 1
                yield position


def _plain(plan: Plan, model: RowModel[Any]) -> Plain | None:
    """Text in JSON as other formats have it; where a key may be text or a number, the two stay apart."""
    return _unquoted if isinstance(plan.form, JsonLines) and not model.has_mixed_keys else None


def _unquoted(key: bytes) -> bytes:
    return msgspec.json.decode(key, type=str).encode() if key.startswith(b'"') else key
