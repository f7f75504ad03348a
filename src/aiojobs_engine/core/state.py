"""The life of a job, as one table.

Everything that decides whether a job may go from one status to another is `TRANSITIONS`. Stores hold no
second copy: they receive the next status as data, and for the few moves that only a store can decide
atomically (`STORE_DECIDES`) the conformance suite walks this table against them. The diagram of the
docs and the generated conformance cases are made from it too.

A status is *final* when nothing moves the job out of it but a retry by hand, which raises `epoch`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """Where a job stands; the comment says who moves it on."""

    SCHEDULED = "scheduled"  # promote, when it is due
    WAITING = "waiting"  # the store, when the last child has settled, or all that it needs has ended
    PENDING = "pending"  # a worker's claim
    PROCESSING = "processing"  # the finalizer of the worker that holds the lease
    PAUSED = "paused"  # resume
    RETRYING = "retrying"  # promote, when the delay is over
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class Trigger(StrEnum):
    """What may happen to a job."""

    PROMOTE = "promote"
    DEFER = "defer"
    CLAIM = "claim"
    COMPLETE = "complete"
    COMPLETE_PARTLY = "complete partly"
    FAIL = "fail"
    RETRY_LATER = "retry later"
    SNOOZE = "snooze"
    RELEASE = "release"
    SPAWN = "spawn"
    DISCARD = "discard"
    CANCEL = "cancel"
    EXPIRE = "expire"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    POSTPONE = "postpone"
    REVIVE = "revive"


FINAL = frozenset(
    {Status.COMPLETED, Status.PARTIAL, Status.FAILED, Status.CANCELLED, Status.DISCARDED, Status.EXPIRED}
)
QUEUED = frozenset({Status.SCHEDULED, Status.PENDING, Status.RETRYING, Status.PAUSED})

S, T = Status, Trigger
TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = MappingProxyType(
    {
        (S.SCHEDULED, T.PROMOTE): S.PENDING,
        (S.SCHEDULED, T.POSTPONE): S.SCHEDULED,
        (S.SCHEDULED, T.CANCEL): S.CANCELLED,
        (S.SCHEDULED, T.EXPIRE): S.EXPIRED,
        (S.SCHEDULED, T.PAUSE): S.PAUSED,
        (S.PENDING, T.CLAIM): S.PROCESSING,
        (S.PENDING, T.POSTPONE): S.SCHEDULED,
        (S.PENDING, T.DISCARD): S.DISCARDED,
        (S.PENDING, T.CANCEL): S.CANCELLED,
        (S.PENDING, T.EXPIRE): S.EXPIRED,
        (S.PENDING, T.PAUSE): S.PAUSED,
        (S.RETRYING, T.PROMOTE): S.PENDING,
        (S.RETRYING, T.CANCEL): S.CANCELLED,
        (S.RETRYING, T.EXPIRE): S.EXPIRED,
        (S.RETRYING, T.PAUSE): S.PAUSED,
        (S.PAUSED, T.RESUME): S.PENDING,
        (S.PAUSED, T.CANCEL): S.CANCELLED,
        (S.PAUSED, T.EXPIRE): S.EXPIRED,
        (S.PROCESSING, T.COMPLETE): S.COMPLETED,
        (S.PROCESSING, T.COMPLETE_PARTLY): S.PARTIAL,
        (S.PROCESSING, T.FAIL): S.FAILED,
        (S.PROCESSING, T.RETRY_LATER): S.RETRYING,
        (S.PROCESSING, T.SNOOZE): S.SCHEDULED,
        (S.PROCESSING, T.RELEASE): S.PENDING,
        (S.PROCESSING, T.SPAWN): S.WAITING,
        (S.PROCESSING, T.DISCARD): S.DISCARDED,
        (S.PROCESSING, T.CANCEL): S.CANCELLED,
        (S.PROCESSING, T.PAUSE): S.PAUSED,
        (S.WAITING, T.PROMOTE): S.PENDING,
        (S.WAITING, T.DEFER): S.SCHEDULED,
        (S.WAITING, T.COMPLETE): S.COMPLETED,
        (S.WAITING, T.COMPLETE_PARTLY): S.PARTIAL,
        (S.WAITING, T.FAIL): S.FAILED,
        (S.WAITING, T.CANCEL): S.CANCELLED,
        (S.FAILED, T.RETRY): S.PENDING,
        (S.CANCELLED, T.RETRY): S.PENDING,
        (S.DISCARDED, T.RETRY): S.PENDING,
        (S.EXPIRED, T.RETRY): S.PENDING,
        (S.PARTIAL, T.SPAWN): S.WAITING,
        (S.FAILED, T.SPAWN): S.WAITING,
        (S.CANCELLED, T.REVIVE): S.WAITING,
    }
)
del S, T

STORE_DECIDES = frozenset(
    {
        (Status.WAITING, Trigger.PROMOTE),
        (Status.WAITING, Trigger.DEFER),
        (Status.WAITING, Trigger.COMPLETE),
        (Status.WAITING, Trigger.COMPLETE_PARTLY),
        (Status.WAITING, Trigger.FAIL),
        (Status.SCHEDULED, Trigger.POSTPONE),
        (Status.PENDING, Trigger.POSTPONE),
        (Status.PENDING, Trigger.DISCARD),
        (Status.SCHEDULED, Trigger.CANCEL),
        (Status.PENDING, Trigger.CANCEL),
        (Status.RETRYING, Trigger.CANCEL),
        (Status.PAUSED, Trigger.CANCEL),
        (Status.WAITING, Trigger.CANCEL),
        (Status.SCHEDULED, Trigger.EXPIRE),
        (Status.PENDING, Trigger.EXPIRE),
        (Status.RETRYING, Trigger.EXPIRE),
        (Status.PAUSED, Trigger.EXPIRE),
        (Status.CANCELLED, Trigger.REVIVE),
    }
)


def allowed(trigger: Trigger) -> frozenset[Status]:
    """The statuses that `trigger` may start from."""
    return frozenset(status for status, named in TRANSITIONS if named is trigger)


def parent_status(succeeded: int, failed: int) -> Status:
    """Where a bulk job or a batch ends with its last child: `failed` counts unresolved rows, or members."""
    if failed == 0:
        return Status.COMPLETED
    return Status.PARTIAL if succeeded else Status.FAILED
