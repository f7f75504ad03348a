"""From a stored source to chunks: one streaming pass that writes where rows stand, never rows.

Ids of chunks are made from the import's, its epoch and their number, and the same source is always cut in the
same places: a planner that was killed and starts again stores no chunk twice.
"""

from collections.abc import Generator, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from aiojobs_engine.bulk.chunk import in_reader
from aiojobs_engine.bulk.holding import hold_chunks
from aiojobs_engine.bulk.plan import Looked, Part, Plan, chunk_envelope, parts
from aiojobs_engine.bulk.reading import opened
from aiojobs_engine.bulk.report import ImportReport, Tally
from aiojobs_engine.bulk.seen_keys import Imported, with_repeated
from aiojobs_engine.ports.backend import Record
from aiojobs_engine.runtime.context import JobContext, StopAtCheckpoint

_CHUNKS_A_WRITE = 50
_ROWS_A_WRITE = 50_000
_ALL = 2**62


async def spawn(
    context: JobContext, plan: Plan, key: str | None, imported: Imported | None
) -> ImportReport | None:
    """Store all chunks of the import, a slice at a time; workers start with the first ones meanwhile.

    Args:
        imported: keys whose rows are left out.

    Raises:
        LeaseLostError: another worker plans now.
        SourceChanged: the stored source is not the one that was dispatched.
        StopAtCheckpoint: the worker stops, or the import is paused; its chunks are held then.
    """
    claim, port = context.claim, context.port
    a_write = max(1, min(_CHUNKS_A_WRITE, _ROWS_A_WRITE // plan.chunk_size))
    number = 0
    tally = Tally()
    async with port.storage.open(plan.source) as path:
        planned = _planned(path, plan, key, plan.chunk_size, imported)
        try:
            while found := await in_reader(partial(_take, planned, a_write), abandon_on_cancel=False):
                children = [
                    chunk_envelope(
                        claim.envelope, plan, part, epoch=claim.epoch, number=index, now=port.now()
                    )
                    for index, part in enumerate(found, number)
                ]
                number += len(children)
                tally.add(found)
                await port.record(Record(lease=claim.lease, children=tuple(children)))
                port.touch(claim)
                if context.stopping:
                    break
        finally:
            planned.close()
    if context.pausing:
        await hold_chunks(context.engine.store, context.id)
    if context.stopping:
        raise StopAtCheckpoint
    return tally.report(plan)


async def whole(path: Path, plan: Plan, key: str | None, imported: Imported | None = None) -> Part:
    """All rows of the source as one part.

    Raises:
        SourceChanged: the stored source is not the one that was dispatched.
    """
    planned = _planned(path, plan, key, _ALL, imported)
    return next(iter(await in_reader(partial(_take, planned, 1), abandon_on_cancel=False)), Part(rows=0))


async def has_more_rows(path: Path, plan: Plan, threshold: int) -> bool:
    """Whether the source has more rows than `threshold`; reads no further than that."""
    return await in_reader(partial(_count, path, plan, threshold)) > threshold


def _count(path: Path, plan: Plan, threshold: int) -> int:
    rows = 0
    with opened(path, plan) as file:
        for window in plan.form.scan(file, plan.mapping, None):
            rows += len(window.lengths) - len(window.blanks)
            if rows > threshold:
                break
    return rows


def _take(planned: Iterator[Part], count: int) -> list[Part]:
    return list(islice(planned, count))


def _planned(
    path: Path, plan: Plan, key: str | None, size: int, imported: Imported | None
) -> Generator[Part]:
    with opened(path, plan) as file:
        searched = None if plan.allow_duplicates else key
        windows = plan.form.scan(file, plan.mapping, searched)
        if searched is None:
            yield from parts(map(Looked, windows), size)
        else:
            yield from parts(with_repeated(windows, file, imported), size)
