"""From jobs to the store: a dispatch at a time, whose writes are joined, or many in slices."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import anyio.lowlevel

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError, EngineError, IdConflict, PayloadError
from aiojobs_engine.core.job import Job
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.names import NamedType, argument_names, parted_queue
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.session import OpenSession, Session

SLICE = 1000

_STRIDE = 250
_END = object()

Jobs = Iterable[Job[Any]] | AsyncIterable[Job[Any]]


class Dispatcher:
    """Takes jobs on behalf of one engine."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Enter by `open_session` at every call."""
        self._open = open_session

    async def dispatch(self, what: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> JobHandle[Any]:
        """Store one job; calls at the same time travel in one write.

        Raises:
            ConfigError: `what` can't be dispatched.
            PayloadError, UnknownJobType, IdConflict: see `Engine.dispatch`.
        """
        session = self._open()
        if isinstance(what, JobType):
            session.templates.adopt(what)
            job: Job[Any] = what.job(*args, **kwargs)
        elif isinstance(what, str):
            job = await self._named(session, what, args, kwargs)
        else:
            job = _only_job(what, args, kwargs)
        envelope = session.templates.envelope(job) or await session.templates.looked_up(job)
        answer = await session.writes.submit(envelope)
        if answer.conflict:
            raise IdConflict(answer.job_id)
        return JobHandle(answer.job_id, self._open, created=answer.created)

    async def dispatch_many(self, jobs: Jobs) -> list[JobHandle[Any]]:
        """Store jobs in slices of 1,000; while one is written, the next is made.

        Raises:
            PayloadError, IdConflict: its `index`, or a note, says which job; all slices before that one are stored.
        """
        session = self._open()
        handles: list[JobHandle[Any]] = []
        under_way: asyncio.Task[list[JobHandle[Any]]] | None = None
        source = _numbered(jobs)
        try:
            while True:
                envelopes = await self._slice(session, source)
                if under_way is not None:
                    handles += await under_way
                    under_way = None
                if not envelopes:
                    return handles
                written = self._write(session, envelopes, len(handles))
                under_way = session.loop.create_task(written, name="aiojobs:dispatch_many")
        finally:
            if under_way is not None:
                await asyncio.wait([under_way])

    async def _named(
        self, session: Session, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job[Any]:
        job_type = session.registry.types.get(name)
        if job_type is not None:
            arguments, queue = parted_queue(kwargs, job_type.arguments.names)
            return (job_type if queue is None else job_type.options(queue=queue)).job(*args, **arguments)
        if args:
            raise PayloadError(f"{name}: a job type whose code is not here takes its arguments by name")
        record = await session.templates.published(name)
        arguments, queue = parted_queue(kwargs, argument_names(record.schema)[0] if record else None)
        named = NamedType(name, session.registry.ids)
        return (named if queue is None else named.options(queue=queue)).job(**arguments)

    async def _slice(self, session: Session, source: AsyncIterator[tuple[int, object]]) -> list[Envelope]:
        envelopes: list[Envelope] = []
        async for index, job in source:
            try:
                made = session.templates.envelope(_only_job(job, (), {}))
                envelopes.append(made or await session.templates.looked_up(_only_job(job, (), {})))
            except EngineError as error:
                raise _at(error, index) from error
            if len(envelopes) == SLICE:
                break
        return envelopes

    async def _write(self, session: Session, envelopes: list[Envelope], first: int) -> list[JobHandle[Any]]:
        try:
            answers: Sequence[Enqueued] = await session.store.enqueue(envelopes)
        except EngineError as error:
            error.add_note(f"the jobs before index {first} are stored, those from it on are not or may not be")
            raise
        for index, answer in enumerate(answers, first):
            if answer.conflict:
                raise _at(IdConflict(answer.job_id), index)
        return [JobHandle(answer.job_id, self._open, created=answer.created) for answer in answers]


def _only_job(what: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job[Any]:
    if not isinstance(what, Job):
        hint = "; decorate it with @engine.job" if callable(what) else "; make one with handler.job(...)"
        raise ConfigError(f"{what!r:.80} is no job, job type or name of one{hint}")
    if args or kwargs:
        raise ConfigError(f"the job {what.id!r} has its arguments already; give them to handler.job(...)")
    return what


def _at(error: EngineError, index: int) -> EngineError:
    if isinstance(error, PayloadError):
        return type(error)(f"job {index}: {error}", argument=error.argument, index=index)
    error.add_note(f"the job at index {index}")
    return error


async def _numbered(jobs: Jobs) -> AsyncIterator[tuple[int, object]]:
    index = 0
    ...
