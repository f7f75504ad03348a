"""What became of one run, as a value: the executor makes it, the finalizer decides what follows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from aiojobs_engine.core.status import NO_COUNTERS, Counters, RowFault


class RowsKept(msgspec.Struct, frozen=True, kw_only=True):
    """What a bulk run has done that ends between two rows.

    Attributes:
        counters: the job's own from now on, those of earlier runs included.
        faults: rows of this run that failed, in row order.
        cursor: where the next run goes on, encoded.
    """

    counters: Counters
    faults: tuple[RowFault, ...]
    cursor: bytes


class Succeeded(msgspec.Struct, frozen=True):
    """The handler returned `result`."""

    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsDone:
    """A bulk handler went through its rows; `faults` are those that failed, in row order.

    Attributes:
        skipped: duplicates, which count as succeeded too.
        before: what earlier runs have counted and kept.
        resolved: of a chunk of rows that had failed before, the row numbers that are good now.
        result: what there is to tell of a bulk job that has no chunks.
    """

    succeeded: int
    skipped: int = 0
    before: Counters = NO_COUNTERS
    faults: tuple[RowFault, ...] = ()
    resolved: tuple[int, ...] | None = None
    result: Any = None


@dataclass(frozen=True, slots=True)
class Spawned:
    """A bulk job has stored all its chunks, and has a result; it waits for them without lease or slot."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, or ran past its deadline.

    Attributes:
        delay: seconds that the handler itself asked for (`RetryLater`), None for the policy's.
        not_before: the instant that it asked for instead.
        permanent: no retry can help (the payload doesn't fit the handler), so no policy is asked.
    """

    error: BaseException
    delay: float | None = None
    permanent: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The handler asked to run again in `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """The handler gave the job up."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run ended because somebody cancelled the job."""

    kept: RowsKept | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """The run stopped at a checkpoint because somebody paused the job."""

    kept: RowsKept | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker stops; the job goes back at once with no attempt counted."""

    kept: RowsKept | None = None


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker that held the lease died or was lost; counted as a crash."""

    detail: str = ""


Outcome = (
    Succeeded
    | RowsDone
    | Spawned
    | Failed
    | Snoozed
    | Discarded
    | Cancelled
    | Paused
    | Interrupted
    | WorkerLost
)
