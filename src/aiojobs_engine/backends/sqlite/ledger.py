"""The jobs that an operation changes one by one, read and written together."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aiojobs_engine.backends.sqlite.blobs import Blobs
from aiojobs_engine.backends.sqlite.codes import CODES, STATUSES
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.needs import BATCH, GATHERING
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters, ErrorInfo


class JobRow(msgspec.Struct, array_like=True):
    """A job as `sql/load.sql` reads it."""

    seq: int
    id: str
    lane: int
    code: int
    token: int
    attempts: int
    crashes: int
    epoch: int
    due_at: int
    scheduled_at: int | None
    expires_at: int | None
    started_at: int | None
    finished_at: int | None
    worker: str | None
    cancelling: int
    pausing: int
    succeeded: int
    failed: int
    skipped: int
    total: int
    kept_succeeded: int
    kept_failed: int
    kept_skipped: int
    parent: int | None
    reopened: int
    chunks: int
    open_chunks: int
    progress_at: int | None
    result_until: int | None
    user_id: int | str | None
    message: str | None
    needs: int
    needed: int
    line: str | None
    lacks_turn: int

    @property
    def status(self) -> Status:
        """Where the job stands."""
        return STATUSES[self.code]

    @property
    def is_final(self) -> bool:
        """Whether nothing but a retry by hand moves the job on."""
        return self.status in FINAL

    @property
    def counters(self) -> Counters:
        """The job's own counters."""
        return Counters(self.succeeded, self.failed, self.skipped, self.total)

    def count(self, counters: Counters) -> None:
        """Take over counters."""
        self.succeeded, self.failed, self.skipped = counters.succeeded, counters.failed, counters.skipped
        self.total = counters.total

    def keep_counters(self) -> None:
        """Keep the counters for the next attempt, as a checkpoint does."""
        self.kept_succeeded, self.kept_failed, self.kept_skipped = self.succeeded, self.failed, self.skipped

    def drop_kept(self) -> None:
        """Let the next attempt start from zero."""
        self.kept_succeeded = self.kept_failed = self.kept_skipped = 0

    def reset_counters(self) -> None:
        """Go back to what the last checkpoint kept; chunks alone move the counters of a job that has any."""
        if not self.chunks:
            self.succeeded, self.failed, self.skipped = (
                self.kept_succeeded,
                self.kept_failed,
                self.kept_skipped,
            )
            self.total = max(self.total, self.succeeded + self.failed)


_rows = msgspec.json.Decoder(list[JobRow]).decode
_seqs = msgspec.json.Decoder(list[int]).decode
_numbered = msgspec.json.Decoder(list[tuple[str, int]]).decode
_encode_error = msgspec.json.Encoder().encode


class Ledger:
    """Loads jobs once, lets them be changed in place, and writes those that were.

    Attributes:
        looked_at: jobs that ended, or batches with a first failure, for which others may wait.
    """

    def __init__(self, tx: Transaction) -> None:
        """Hold nothing yet."""
        self.tx = tx
        self._rows: dict[int, JobRow] = {}
        self._changed: dict[int, JobRow] = {}
        self._errors: dict[int, ErrorInfo | None] = {}
        self._results: dict[int, bytes | None] = {}
        self._cursors: dict[int, bytes] = {}
        self.looked_at: list[JobRow] = []

    def load(self, seqs: Iterable[int]) -> None:
        """Read those jobs that are not held yet."""
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in self._rows]
        if missing:
            self._rows |= {row.seq: row for row in _rows(self.tx.value("load", seqs=missing))}

    def get(self, seq: int | None) -> JobRow | None:
        """A job; None when it is gone."""
        if seq is None:
            return None
        if seq not in self._rows:
            self.load([seq])
        return self._rows.get(seq)

    def by_id(self, ids: Sequence[str]) -> dict[str, JobRow]:
        """Those of the jobs that there are."""
        if not ids:
            return {}
        numbers = dict(_numbered(self.tx.value("load_ids", ids=list(ids))))
        self.load(numbers.values())
        return {job_id: self._rows[seq] for job_id, seq in numbers.items()}

    def open_chunks(self, parent: JobRow) -> list[JobRow]:
        """The chunks of a bulk job that haven't ended, in order."""
        self.store()
        seqs = _seqs(self.tx.value("open_chunks", parent=parent.seq))
        self.load(seqs)
        return [self._rows[seq] for seq in seqs]

    def is_batch(self, row: JobRow) -> bool:
        """Whether the job is a batch, whose children are members."""
        return self.tx.lane(row.lane).kind == BATCH

    def gathers(self, row: JobRow) -> bool:
        """Whether the job runs again when its last chunk has ended."""
        return self.tx.lane(row.lane).kind in GATHERING

    def is_chunk(self, row: JobRow) -> bool:
        """Whether the job is part of a bulk job; a member of a batch is not."""
        parent = self.get(row.parent)
        return parent is not None and not self.is_batch(parent)

    def changed(self, row: JobRow) -> None:
        """Let `row` be written by `store`."""
        self._changed[row.seq] = row
        self.tx.lined |= row.line is not None or bool(row.lacks_turn)

    def move(self, row: JobRow, status: Status) -> None:
        """Give a job its next status; what belongs to a run or to an end is set or dropped with it."""
        row.code = CODES[status]
        row.finished_at = self.tx.now if status in FINAL else None
        if status is not Status.PROCESSING:
            row.worker = None
        if status in FINAL:
            row.cancelling = row.pausing = 0
        self.tx.woke |= status is Status.PENDING
        self.changed(row)

    def set_error(self, row: JobRow, error: ErrorInfo | None) -> None:
        """The last error, None drops it."""
        self._errors[row.seq] = error
        self.changed(row)

    def set_result(self, row: JobRow, result: bytes | None, until: Instant | None) -> None:
        """The result, None drops it."""
        self._results[row.seq] = result
        row.result_until = None if result is None else until
        self.changed(row)

    def set_cursor(self, row: JobRow, cursor: bytes) -> None:
        """A checkpoint, which keeps the counters too; b"" drops it."""
        self._cursors[row.seq] = cursor
        if cursor:
            row.keep_counters()
        else:
            row.drop_kept()
        self.changed(row)

    def emit(self, kind: type[JobEvent], row: JobRow, *own: object) -> None:
        """Store an event of `kind` about a job as it now stands; `own` are the fields that the kind adds."""
        lane, parent = self.tx.lane(row.lane), self.get(row.parent)
        self.tx.events.append(
            kind(
                row.id,
                lane.type,
                lane.kind,
                lane.queue,
                row.status,
                row.succeeded + row.failed,
                row.total,
                row.succeeded,
                row.failed,
                row.user_id,
                row.attempts + (row.status is Status.PROCESSING),
                self.tx.now,
                "",
                None if parent is None else parent.id,
                *own,
            )
        )

    def store(self) -> None:
        """Write what has changed."""
        if not self._changed:
            return
        blobs = Blobs()
        rows = [self._stored(row, blobs) for row in self._changed.values()]
        self.tx.run("store", rows=rows, blobs=blobs.joined())
        for pending in (self._changed, self._errors, self._results, self._cursors):
            pending.clear()

    def _stored(self, row: JobRow, blobs: Blobs) -> list[Any]:
        error = self._errors.get(row.seq)
        return [
            *msgspec.structs.astuple(row),
            None if error is None else _encode_error(error).decode(),
            row.seq in self._errors,
            *blobs.add(self._results.get(row.seq)),
            row.seq in self._results,
            *blobs.add(self._cursors.get(row.seq)),
            row.seq in self._cursors,
        ]
