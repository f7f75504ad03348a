"""What a dispatch returns: the job from the dispatcher's side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from aiojobs_engine.core.codec import ResultCodec
from aiojobs_engine.core.errors import (
    BackendUnavailable,
    JobCancelledError,
    JobDiscardedError,
    JobExpiredError,
    JobFailedError,
    JobNotFound,
    PayloadError,
    ResultExpiredError,
)
from aiojobs_engine.core.events import TERMINAL_EVENTS, StoredEvent
from aiojobs_engine.core.instant import instant
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.desks import interventions
from aiojobs_engine.events.stream import Tail
from aiojobs_engine.ports.inspector import Result
from aiojobs_engine.waiting import Deadline, checked_timeout

if TYPE_CHECKING:
    from aiojobs_engine.lifetime.session import OpenSession, Session

R_co = TypeVar("R_co", covariant=True)

_PLAIN = ResultCodec(None)


class JobHandle(msgspec.Struct, Generic[R_co], frozen=True, eq=False, gc=False):
    """A stored job, to ask about, wait for and intervene with.

    Attributes:
        id: 1 to 128 characters; ids of one process are time-ordered.
        created: False when a job of this id or unique key was there already.
    """

    id: str
    _open: OpenSession
    created: bool

    async def status(self) -> JobStatus:
        """The job as it stands.

        Raises:
            JobNotFound: it is not stored any more.
        """
        return await interventions.status_of(self._open().store, self.id)

    async def result(self, timeout: float | None = None) -> R_co:
        """What the handler returned, as soon as the job has ended. Waits `timeout` seconds, None for ever.

        Raises:
            TimeoutError: the job has not ended in time; it goes on.
            JobFailedError: it is out of attempts or crashes.
            JobCancelledError, JobDiscardedError, JobExpiredError: it ended so.
            ResultExpiredError: it ended well, but longer than `result_ttl` ago.
            PayloadError: it ended well, but its result could not be stored, or fits the annotation no more.
            JobNotFound: it is not stored any more.
        """
        session = self._open()
        if timeout is not None and checked_timeout(timeout) <= 0:
            found = await session.follower.look(self.id)
            if found.status not in FINAL:
                raise TimeoutError(f"job {self.id!r} has not ended yet, it is {found.status}")
        else:
            async with Deadline(session.clock, timeout, f"job {self.id!r} did not end"):
                found = await session.follower.result(self.id)
        return cast("R_co", self._value(session, found))

    async def cancel(self) -> None:
        """Cancel: a queued job never starts, in a running one the handler is cancelled. May be repeated.

        Raises:
            TooLate: the job had ended.
            JobNotFound: it is not stored any more.
        """
        await interventions.cancel(self._open().store, self.id)

    async def retry(self) -> None:
        """Start a job that ended without success anew, under the same id.

        Raises:
            IllegalTransition: it has not ended, or it ended well.
            JobNotFound: it is not stored any more.
        """
        await interventions.retry(self._open().store, self.id)

    async def events(self) -> AsyncIterator[StoredEvent]:
        """The job's events from its creation on, as far as they are kept; ends after the one that ends it.

        Raises:
            JobNotFound: the job is not stored any more.
        """
        session = self._open()
        status = await self.status()
        is_final = status.status in FINAL
        tail = Tail(session.store, session.clock, await session.store.since(instant(status.created_at)))
        while True:
            has_ended = False
            for event in await tail.batch():
                if event.job_id == self.id:
                    yield event
                    has_ended = isinstance(event, TERMINAL_EVENTS)
            if tail.is_caught_up and is_final:
                return
            if has_ended or (tail.is_caught_up and not await tail.wait()):
                is_final = await self._is_over(session)

    async def _is_over(self, session: Session) -> bool:
        try:
            return (await session.follower.look(self.id)).status in FINAL
        except JobNotFound:
            return True
        except BackendUnavailable:
            return False

    def _value(self, session: Session, found: Result) -> Any:
        detail = "" if found.error is None else found.error.message
        match found.status:
            case Status.COMPLETED | Status.PARTIAL:
                return self._decoded(session, found)
            case Status.FAILED:
                kind = "" if found.error is None else f"{found.error.type}: "
                raise JobFailedError(self.id, kind + detail)
            case Status.CANCELLED:
                raise JobCancelledError(self.id, detail)
            case Status.DISCARDED:
                raise JobDiscardedError(self.id, detail)
            case _:
                raise JobExpiredError(self.id, "")

    def _decoded(self, session: Session, found: Result) -> Any:
        if found.expired:
            raise ResultExpiredError(self.id, "")
        if found.error is not None and found.error.type == "result_error":
            raise PayloadError(
                f"job {self.id!r} completed, but its result could not be stored: {found.error.message}"
            )
        job_type = session.registry.types.get(found.type)
        codec = _PLAIN if job_type is None else job_type.results
        return codec.decode(found.result)

    def __repr__(self) -> str:
        """Show the id."""
        return f"<JobHandle {self.id}>"
