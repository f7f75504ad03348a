"""What a job waits for: other jobs, and how each of them has to end."""

from enum import StrEnum

import msgspec

from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import ErrorInfo

UNMET = "dependency"
"""The reason of jobs that were cancelled because what they need can't be met any more."""

BATCH = "batch"
"""The kind of a batch: a job that nobody runs, which waits for its members and counts them."""


GATHERING = frozenset({"export"})
"""Kinds of bulk jobs that run again when their last chunk has ended, to put together what the chunks made.

Their chunks say only at their end how many rows there are, so the parent's `total` grows with them.
"""


class When(StrEnum):
    """How the job that another one waits for has to end.

    `failure` is every end but `completed`; of a batch it is met as soon as a first member ends so.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    END = "end"


class Need(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job that has to end before another one starts."""

    job_id: str
    when: When = When.SUCCESS


def verdict(when: When, status: Status, *, failed_members: int = 0) -> bool | None:
    """Whether a need is met by a job of this status: for good, never any more, or None: not known yet."""
    if when is When.FAILURE and failed_members:
        return True
    if status not in FINAL:
        return None
    return when is When.END or (status is Status.COMPLETED) == (when is When.SUCCESS)


def unmet(former_id: str, status: Status | None) -> ErrorInfo:
    """Why a job was cancelled that waited for another one; a status of None: that one was removed."""
    if status is None:
        return ErrorInfo("removed", f"the job {former_id} was removed", reason=UNMET)
    return ErrorInfo(UNMET, f"the job {former_id} ended as {status}", reason=UNMET)


def is_revivable(status: Status, error: ErrorInfo | None) -> bool:
    """Whether a job was cancelled because one that it needs ended in another way, and may wait again."""
    return status is Status.CANCELLED and error is not None and error.type == UNMET


NO_MEMBER_SUCCEEDED = ErrorInfo(type=BATCH, message="no job of the batch succeeded", reason=BATCH)
