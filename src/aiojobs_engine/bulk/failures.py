"""Failed rows run again: found in the stored source, as they stand there, and given to new chunks."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from aiojobs_engine.bulk.chunk import in_reader
from aiojobs_engine.bulk.plan import Draft, Part, Plan, Unreadable, chunk_envelope, decode_plan
from aiojobs_engine.bulk.reading import opened
from aiojobs_engine.bulk.sources.lines import Window
from aiojobs_engine.bulk.sources.records import Span
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import IllegalTransition, JobNotFound, SourceChanged
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.storage import Storage

_PAGE = 1000
_TRIGGER = "retry failed rows"


async def retry_failures(store: Store, storage: Storage, job_id: str, now: Instant) -> int:
    """Run the unresolved failed rows of an import again, and only those; how many there are.

    The job waits for them under its id, with `epoch` one more; rows that are good now move from `failed` to
    `succeeded`. Without unresolved rows nothing happens. Only the payload of the job is needed, not its code.

    Raises:
        JobNotFound: the job is not stored.
        IllegalTransition: it is no import, it has not ended, or somebody else retries the rows already.
        SourceChanged: the stored source is not the one that was dispatched.
        ConfigError: the stored source is gone.
    """
    status, envelope = await _stored(store, job_id)
    if envelope.kind != "import" or envelope.parent_id is not None:
        raise IllegalTransition(job_id, f"no import but of kind {envelope.kind!r}", _TRIGGER)
    plan = decode_plan(envelope.payload)
    numbers = await unresolved_rows(store, job_id)
    if not numbers:
        return 0
    async with storage.open(plan.source) as path:
        parts = await in_reader(partial(_parts, path, plan, numbers))
    children = [
        chunk_envelope(envelope, plan, part, epoch=status.epoch + 1, number=index, now=now)
        for index, part in enumerate(parts)
    ]
    if not await store.reopen(job_id, children):
        status, _ = await _stored(store, job_id)
        raise IllegalTransition(job_id, status.status, _TRIGGER)
    return len(numbers)


async def _stored(store: Store, job_id: str) -> tuple[JobStatus, Envelope]:
    (status,) = await store.get([job_id])
    (envelope,) = await store.envelopes([job_id])
    if status is None or envelope is None:
        raise JobNotFound(job_id)
    return status, envelope


async def unresolved_rows(store: Store, job_id: str) -> Sequence[int]:
    """The numbers of the failed rows of an import that are not in, in order."""
    numbers = array("q")
    after: str | None = None
    while page := await store.failures(job_id, unresolved=True, after=after, limit=_PAGE):
        numbers.extend(failure.row_number for failure in page)
        after = page[-1].id
    return numbers


def _parts(path: Path, plan: Plan, numbers: Sequence[int]) -> list[Part]:
    with opened(path, plan) as file:
        parts = list(_drafted(plan.form.scan(file, plan.mapping, None), numbers, plan.chunk_size))
    found = sum(part.rows for part in parts)
    if found != len(numbers):
        raise SourceChanged(f"the stored source holds {found:,} of the {len(numbers):,} rows that failed")
    return parts


def _drafted(windows: Iterable[Window], numbers: Sequence[int], size: int) -> Iterator[Part]:
    """Parts of the rows `numbers`, which rise, up to `size` each."""
    wanted = iter(numbers)
    number = next(wanted, None)
    draft = Draft()
    first = 1
    for window in windows:
        position = begin = 0
        while number is not None and number - first < len(window.lengths):
            begin += sum(window.lengths[position : number - first])
            position = number - first
            length = window.lengths[position]
            if window.unreadable is not None:
                draft.add_unreadable(Unreadable(number, window.offset, window.unreadable))
            elif position not in window.blanks:
                span = Span(window.offset + begin, length, number, 1)
                draft.add(span, window.data[begin : begin + length], blanks=0)
            if draft.rows == size:
                yield draft.part(is_retry=True)
                draft = Draft()
            number = next(wanted, None)
        if number is None:
            break
        first += len(window.lengths)
    if draft.rows:
        yield draft.part(is_retry=True)
