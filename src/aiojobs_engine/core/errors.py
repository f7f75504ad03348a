"""Every error a caller can meet, and the three signals that a handler raises to speak to the engine."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import ClassVar


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest of `known`, or an empty string when none is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


class EngineError(Exception):
    """The root of every error of this package; never raised itself.

    Attributes:
        index: the position in `dispatch_many` of the job at fault, None elsewhere. Of a `SourceError`, the
            place of the row in the source, from 0.
    """

    index: int | None = None


class ConfigError(EngineError):
    """A setting, option, URL or registration is wrong; the message names it and the right one."""


class UnknownJobType(EngineError):
    """No handler of this name is registered here, and no worker has published it."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        """Keep `name` as an attribute and look for the nearest of `known`."""
        self.name = name
        hint = did_you_mean(name, known) or "; register it here, start a worker that has it, or give queue="
        super().__init__(f"no job type is named {name!r}{hint}")


class PayloadError(EngineError):
    """Arguments or a result that can't be encoded, decoded or validated.

    Attributes:
        argument: the name of the argument at fault, None when the whole payload is.
    """

    def __init__(self, message: str, *, argument: str | None = None, index: int | None = None) -> None:
        """Keep the place of the fault beside the message."""
        self.argument = argument
        self.index = index
        super().__init__(message)


class PayloadTooLarge(PayloadError):
    """The encoded payload is larger than `limits.payload_bytes`."""


class SourceError(PayloadError):
    """A source that can't be imported as it is: no such file, no header, columns that don't fit."""


class SourceChanged(EngineError):
    """The stored rows of a bulk job are no longer those that its chunks were made for."""


class ExportError(EngineError):
    """The rows of an export can't be written as they are: a column is missing, the format has no room."""


class DeliveryError(EngineError):
    """The file of an export can't be put where it was asked for."""


class ExportNotFound(EngineError):
    """No file of this id is kept for this user: it never was, it has expired, or it was removed."""

    def __init__(self, file_id: str) -> None:
        """Keep `file_id` as an attribute."""
        self.file_id = file_id
        super().__init__(
            f"there is no exported file {file_id!r:.120}: it never was, has expired, or was removed"
        )


class IdConflict(EngineError):
    """A job of this id is stored already, with another type or payload."""

    def __init__(self, job_id: str) -> None:
        """Keep `job_id` as an attribute."""
        self.job_id = job_id
        super().__init__(f"job {job_id!r} exists with another type or payload; use a new id")


class JobNotFound(EngineError):
    """No job of this id is stored: it never was, or was deleted or pruned."""

    def __init__(self, job_id: str) -> None:
        """Keep `job_id` as an attribute."""
        self.job_id = job_id
        super().__init__(f"job {job_id!r} is not stored: it never was, or it was deleted or pruned")


class IllegalTransition(EngineError):
    """The job's status doesn't allow this; the attributes say which status and what was asked."""

    def __init__(self, job_id: str, status: str, trigger: str) -> None:
        """Keep `job_id`, `status` and `trigger` as attributes."""
        self.job_id = job_id
        self.status = status
        self.trigger = trigger
        hint = "; its failed rows can: `failures retry`" if (status, trigger) == ("partial", "retry") else ""
        super().__init__(f"job {job_id!r} is {status}, so it can't {self._asked.get(trigger, trigger)}{hint}")

    _asked: ClassVar[Mapping[str, str]] = {
        "cancel": "be cancelled",
        "pause": "be paused",
        "resume": "be resumed",
        "retry": "be retried",
        "retry failed rows": "have its failed rows retried",
        "replay": "be replayed",
        "edit": "be edited",
        "delete": "be deleted",
    }


class TooLate(IllegalTransition):
    """The job had ended before the request arrived."""


class UnfinishedResult(EngineError):
    """Why `handle.result()` has no value; never raised itself."""

    def __init__(self, job_id: str, detail: str) -> None:
        """Keep `job_id` and `detail` as attributes."""
        self.job_id = job_id
        self.detail = detail
        super().__init__(f"job {job_id!r} {self.verb}: {detail}" if detail else f"job {job_id!r} {self.verb}")

    verb = "has no result"


class JobFailedError(UnfinishedResult):
    """The job is out of attempts or crashes; `detail` is the last error."""

    verb = "failed"


class JobCancelledError(UnfinishedResult):
    """The job was cancelled."""

    verb = "was cancelled"


class JobDiscardedError(UnfinishedResult):
    """The handler discarded the job; `detail` is its reason."""

    verb = "was discarded"


class JobExpiredError(UnfinishedResult):
    """The job was not started before its `expires`."""

    verb = "expired before it started"


class ResultExpiredError(UnfinishedResult):
    """The job completed and its result was kept for `result_ttl` only."""

    verb = "completed, but its result is no longer kept"


class DependencyNotFound(EngineError):
    """A job can't be bound to one that is not stored, or to a batch that takes no members any more.

    Nothing of the dispatch was stored.
    """

    def __init__(self, job_id: str) -> None:
        """Name the job that is missing."""
        super().__init__(
            f"nothing was stored: the job {job_id!r}, which this one is to follow or to belong to, "
            "is not stored, or is a batch that has ended; dispatch it first"
        )
        self.job_id = job_id


class LeaseLostError(EngineError):
    """Another worker holds the job now; nothing that this run writes is accepted any more."""


class SingletonHeld(EngineError):
    """Somebody else holds the singleton; the attributes say which and who."""

    def __init__(self, name: str, owner: str) -> None:
        """Keep `name` and `owner` as attributes."""
        self.name = name
        self.owner = owner
        super().__init__(f"singleton {name!r} is held by {owner or 'somebody else'}")


class SingletonLost(EngineError):
    """The singleton's lease ended while it was held: the store was not reached, or the loop stood still."""

    def __init__(self, name: str, owner: str) -> None:
        """Keep `name` and `owner` as attributes."""
        self.name = name
        self.owner = owner
        super().__init__(f"singleton {name!r} was lost by {owner}; another process may hold it now")


class ForkedEngineError(EngineError):
    """The engine was opened in another process; open a new one after a fork."""


class BackendError(EngineError):
    """The root of what a store can answer; never raised itself."""


class BackendUnavailable(BackendError):
    """The store could not be reached; the call may or may not have taken effect. Repeat it."""


class BackendFull(BackendError):
    """The store has no room (disk, memory or its bound); nothing was written."""


class QueueFull(BackendFull):
    """The queue has as many pending jobs as it may have; this one is not stored."""

    def __init__(self, queue: str) -> None:
        """Keep `queue` as an attribute."""
        self.queue = queue
        super().__init__(f"queue {queue!r} is full: dispatch again later, or raise its max_pending")


class SchemaMismatch(BackendError):
    """The store was written by a newer release, or by another program."""


class BackendClosed(BackendError):
    """The engine is not open: use it inside `async with engine:`."""


class Signal(BaseException):
    """The root of what a handler raises to speak to the engine; `except Exception` lets it pass."""


def _number(seconds: object, owner: str) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigError(f"{owner} takes seconds as a number, got {seconds!r:.80}")
    return seconds


def _retry_after(header: str) -> tuple[float, datetime | None]:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few handlers need it, and it is slow to import

    text = header.strip()
    if text.isascii() and text.isdecimal():
        return float(text), None
    try:
        at = parsedate_to_datetime(text)
    except ValueError as error:
        raise ConfigError(f"Retry-After is seconds or a date of HTTP, got {header!r:.80}") from error
    return 0.0, at if at.tzinfo is not None else at.replace(tzinfo=UTC)


class Snooze(Signal):
    """Run again after `seconds`; no attempt is counted against the policy."""

    def __init__(self, seconds: float) -> None:
        """Keep `seconds`, at least 0.

        Raises:
            ConfigError: they are no number.
        """
        self.seconds = _number(seconds, type(self).__name__)
        super().__init__(seconds)


class Discard(Signal):
    """End the job without success and without retry."""

    def __init__(self, reason: str = "") -> None:
        """Keep `reason` as text, which `handle.result()` shows."""
        self.reason = str(reason)
        super().__init__(self.reason)


class RetryLater(Signal):
    """Count a failed attempt and run again after `seconds` instead of the policy's delay.

    A header may be given as it came, seconds or a date: `RetryLater(response.headers["Retry-After"])`.
    """

    def __init__(self, seconds: float | str) -> None:
        """Keep `seconds`, at least 0, or the instant of the header's date as `at`.

        Raises:
            ConfigError: they are neither a number nor such a header.
        """
        self.at: datetime | None = None
        if isinstance(seconds, str):
            self.seconds, self.at = _retry_after(seconds)
        else:
            self.seconds = _number(seconds, type(self).__name__)
        super().__init__(seconds)
