"""What travels in the payload of an import and of its chunks: never rows, only where they stand."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from aiojobs_engine.bulk.sources import Form
from aiojobs_engine.bulk.sources.lines import Window
from aiojobs_engine.bulk.sources.opening import Found
from aiojobs_engine.bulk.sources.records import Span
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.instant import Instant


class Unreadable(msgspec.Struct, frozen=True, array_like=True):
    """A record that can't be read at all: its row number, where it begins, and why."""

    number: int
    offset: int
    reason: str


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some records of a source.

    Attributes:
        rows: how many rows count here: all records but empty lines.
        checksum: CRC-32 of the bytes of all spans in their order.
        skipped: first and last row numbers of duplicates.
        earlier: how many of them an earlier import brought in.
        is_retry: these rows had failed before.
    """

    rows: int
    spans: tuple[Span, ...] = ()
    checksum: int = 0
    unreadable: tuple[Unreadable, ...] = ()
    skipped: tuple[tuple[int, int], ...] = ()
    earlier: int = 0
    is_retry: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of an import; that of a chunk has a `part` too.

    Attributes:
        source: the name in the storage, which tells one content from another.
        size: bytes of the source.
        label: the file's own name, for people.
        found: what the source was taken for; chunks don't carry it.
        mapping: columns to fields.
        is_single: the import runs as one job.
    """

    source: str
    size: int
    form: Form
    chunk_size: int
    label: str = ""
    mapping: dict[str, str] = {}
    is_single: bool = False
    dry_run: bool = False
    allow_duplicates: bool = False
    max_failures: int | None = None
    max_failure_rate: float | None = None
    found: Found | None = None
    part: Part | None = None


class Looked(NamedTuple):
    """A window, the positions of records to leave out, and those of them that an earlier import had."""

    window: Window
    repeated: Sequence[int] = ()
    earlier: Sequence[int] = ()


_decoder = msgspec.json.Decoder(Plan)
_encoder = msgspec.json.Encoder()


def encode_plan(plan: Plan) -> bytes:
    """The payload."""
    return _encoder.encode(plan)


def decode_plan(payload: bytes | msgspec.Raw) -> Plan:
    """The plan in a payload.

    Raises:
        PayloadError: it is none.
    """
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise PayloadError(f"the payload is no plan of an import: {error}") from error


def chunk_envelope(
    parent: Envelope, plan: Plan, part: Part, *, epoch: int, number: int, now: Instant
) -> Envelope:
    """The chunk job `number` of the epoch; planned again it has the same id."""
    payload = encode_plan(msgspec.structs.replace(plan, found=None, part=part))
    return child_envelope(parent, payload, epoch=epoch, number=number, now=now, rows=part.rows)


def child_envelope(
    parent: Envelope, payload: bytes, *, epoch: int, number: int, now: Instant, rows: int = 0
) -> Envelope:
    """A job that does part `number` of a bulk job, in one of its epochs."""
    return Envelope(
        id=f"{parent.id}.{epoch}.{number}",
        type=parent.type,
        kind=parent.kind,
        queue=parent.queue,
        priority=parent.priority,
        user_id=parent.user_id,
        retry=parent.retry,
        timeout=parent.timeout,
        max_crashes=parent.max_crashes,
        tags=parent.tags,
        meta=parent.meta,
        headers=parent.headers,
        limit_key=parent.limit_key,
        cost=parent.cost,
        fair_key=parent.fair_key,
        fair_weight=parent.fair_weight,
        parent_id=parent.id,
        strategy="batch",
        total=rows,
        created_at=now,
        payload=msgspec.Raw(payload),
    )


def parts(windows: Iterable[Looked], size: int) -> Iterator[Part]:
    """Parts of `size` records, the last one of fewer; without those that hold nothing but empty lines."""
    draft = Draft()
    number = 1
    for window, repeated, earlier in windows:
        position = begin = 0
        while position < len(window.lengths):
            end = min(len(window.lengths), position + size - draft.records)
            length = sum(window.lengths[position:end])
            blanks = sum(position <= blank < end for blank in window.blanks)
            if window.unreadable is not None:
                draft.add_unreadable(Unreadable(number, window.offset, window.unreadable))
            else:
                span = Span(window.offset + begin, length, number + position, end - position)
                draft.add(span, window.data[begin : begin + length], blanks)
                draft.skip(number + again for again in repeated if position <= again < end)
                draft.earlier += sum(position <= known < end for known in earlier)
            position, begin = end, begin + length
            if draft.records == size:
                if draft.rows:
                    yield draft.part()
                draft = Draft()
        number += len(window.lengths)
    if draft.rows:
        yield draft.part()


class Draft:
    """A part in the making.

    Attributes:
        records: how many are in it, empty lines included.
        rows: how many of them count.
        earlier: how many of those that are left out an earlier import brought in.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.records = 0
        self.rows = 0
        self.earlier = 0
        self._checksum = 0
        self._spans: list[Span] = []
        self._unreadable: list[Unreadable] = []
        self._skipped: list[tuple[int, int]] = []

    def add(self, span: Span, data: bytes, blanks: int) -> None:
        """Take in the records of a span, which come after all others; `blanks` of them are empty lines."""
        self._checksum = crc32(data, self._checksum)
        self.records += span.records
        self.rows += span.records - blanks
        if self._spans and _follows(self._spans[-1], span):
            offset, length, first, records = self._spans[-1]
            self._spans[-1] = Span(offset, length + span.length, first, records + span.records)
        else:
            self._spans.append(span)

    def add_unreadable(self, unreadable: Unreadable) -> None:
        """Take in a record that can't be read."""
        self._unreadable.append(unreadable)
        self.records += 1
        self.rows += 1

    def skip(self, numbers: Iterable[int]) -> None:
        """Leave out rows that were added."""
        for number in numbers:
            if self._skipped and self._skipped[-1][1] == number - 1:
                self._skipped[-1] = (self._skipped[-1][0], number)
            else:
                self._skipped.append((number, number))

    def part(self, *, is_retry: bool = False) -> Part:
        """What was added."""
        return Part(
            rows=self.rows,
            spans=tuple(self._spans),
            checksum=self._checksum,
            unreadable=tuple(self._unreadable),
            skipped=tuple(self._skipped),
            earlier=self.earlier,
            is_retry=is_retry,
        )


def _follows(before: Span, span: Span) -> bool:
    return before.offset + before.length == span.offset and before.first + before.records == span.first
