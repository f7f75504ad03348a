"""From jobs to the store: a dispatch at a time, whose writes are joined, or many in slices."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import anyio.lowlevel

from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.errors import (
    BackendFull,
    ConfigError,
    DependencyNotFound,
    EngineError,
    IdConflict,
    PayloadError,
    QueueFull,
)
from aiojobs_engine.core.flow import Batch, Chain, Linked, Step
from aiojobs_engine.core.instant import later
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.options import layered
from aiojobs_engine.dispatching.admission import admitted, submitted
from aiojobs_engine.dispatching.flows import check_unique, dispatch_flow, store_linked
from aiojobs_engine.dispatching.names import NamedType, argument_names, parted_queue
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.lifetime.session import OpenSession, Session
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.ports.tracing import Carry
from aiojobs_engine.runtime.registry import JobType

SLICE = 1000

_STRIDE = 250
_END = object()
_FLOWS = (Chain, Linked, Batch)

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
        if isinstance(what, _FLOWS):
            return await dispatch_flow(self._open, _alone(what, args, kwargs))
        job = await self._job(session, what, args, kwargs)
        try:
            envelope = session.templates.envelope(job) or await session.templates.looked_up(job)
            if is_linked(envelope):
                created = await store_linked(session, [envelope])
                if job.kind == "import":
                    await _keep(session, job)
                return JobHandle(envelope.id, self._open, created=created[envelope.id])
            tracing = session.tracing()
            if tracing is None:
                answer = await submitted(session, envelope)
            else:
                with tracing.send(envelope) as carrying:
                    answer = await submitted(session, carrying)
        except (BackendFull, ConfigError):
            if job.kind == "import" and "id" not in job.options:
                await session.storage.remove(job.id)
            raise
        if answer.conflict:
            raise IdConflict(answer.job_id)
        if job.kind == "import":
            if answer.job_id == envelope.id:
                await _keep(session, job)
            else:
                await session.storage.remove(job.id)
        return JobHandle(answer.job_id, self._open, created=answer.created)

    async def dispatch_many(self, jobs: Jobs) -> list[JobHandle[Any]]:
        """Store jobs in slices of 1,000; while one is written, the next is made.

        Raises:
            PayloadError, IdConflict: its `index`, or a note, says which job; all slices before are stored.
        """
        session = self._open()
        tracing = session.tracing()
        if tracing is None:
            return await self._all(session, _Source(jobs), None)
        with tracing.send_many() as carry:
            return await self._all(session, _Source(jobs), carry)

    async def _all(self, session: Session, source: "_Source", carry: Carry | None) -> list[JobHandle[Any]]:
        handles: list[JobHandle[Any]] = []
        under_way: asyncio.Task[list[JobHandle[Any]]] | None = None
        try:
            while envelopes := await self._slice(session, source):
                if under_way is not None:
                    handles += await under_way
                    under_way = None
                carrying = envelopes if carry is None else carry(envelopes)
                written = self._write(session, carrying, len(handles))
                if source.is_over:
                    return handles + await written
                under_way = session.loop.create_task(written, name="aiojobs:dispatch_many")
            return handles if under_way is None else handles + await under_way
        except BaseException:
            if under_way is not None:
                await asyncio.gather(under_way, return_exceptions=True)
            raise

    async def _job(
        self, session: Session, what: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job[Any]:
        if isinstance(what, str):
            what, kwargs = await self._named(session, what, args, kwargs)
        if isinstance(what, JobType):
            job_type = cast("JobType[..., Any]", what)
            session.templates.adopt(job_type)
            if isinstance(job_type, ImportType):
                now = session.clock.now()
                return await job_type.prepared(session.storage, session.settings, now, args, kwargs)
            return job_type.job(*args, **kwargs)
        return _only_job(what, args, kwargs)

    async def _named(
        self, session: Session, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[object, dict[str, Any]]:
        """The job type of this name and its arguments, or the job itself when its code is elsewhere."""
        job_type = session.registry.types.get(name)
        if job_type is not None:
            arguments, queue = parted_queue(kwargs, job_type.arguments.names)
            return job_type if queue is None else job_type.options(queue=queue), arguments
        if args:
            raise PayloadError(f"{name}: a job type whose code is not here takes its arguments by name")
        record = await session.templates.published(name)
        arguments, queue = parted_queue(kwargs, argument_names(record.schema)[0] if record else None)
        named = NamedType(name, session.registry.ids)
        return (named if queue is None else named.options(queue=queue)).job(**arguments), {}

    async def _slice(self, session: Session, source: "_Source") -> list[Envelope]:
        envelopes: list[Envelope] = []
        templates = session.templates
        while len(envelopes) < SLICE and not source.is_over:
            if envelopes:
                await anyio.lowlevel.checkpoint()
            taken = await source.take(_STRIDE)
            for index, what in enumerate(taken, source.taken - len(taken)):
                try:
                    job = _checked_job(what)
                    envelopes.append(templates.envelope(job) or await templates.looked_up(job))
                except EngineError as error:
                    raise _at(error, index) from error
        return envelopes

    async def _write(self, session: Session, envelopes: list[Envelope], first: int) -> list[JobHandle[Any]]:
        if any(map(is_linked, envelopes)):
            check_unique(envelopes)
        try:
            answers: Sequence[Enqueued] = await session.enqueue(envelopes)
        except EngineError as error:
            error.add_note(
                f"the jobs before index {first} are stored, those from it on are not or may not be"
            )
            raise
        for index, answer in enumerate(answers, first):
            if answer.created:
                continue
            if answer.refused:
                try:
                    await admitted(session, envelopes[index - first])
                except QueueFull as error:
                    raise _at(error, index) from error
            if answer.missing is not None:
                raise _at(DependencyNotFound(answer.missing), index)
            if answer.conflict:
                raise _at(IdConflict(answer.job_id), index)
        return [
            JobHandle(answer.job_id, self._open, created=answer.created or answer.refused)
            for answer in answers
        ]


async def _keep(session: Session, job: Job[Any]) -> None:
    """Let the storage keep the source of an import that is stored now, for `storage.ttl` if given."""
    await session.storage.keep(job.id)
    ttl = layered(session.settings, "storage", job.type, job.kind).ttl
    if ttl is not None:
        storage = session.storage.of(job.type, job.kind)
        await storage.keep_until(job.id, later(session.clock.now(), ttl))


def _alone(step: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
    if args or kwargs:
        raise ConfigError("a chain or a batch is dispatched alone; its jobs have their arguments already")
    return step


def _only_job(what: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job[Any]:
    job = _checked_job(what)
    if args or kwargs:
        raise ConfigError(f"the job {job.id!r} has its arguments already; give them to handler.job(...)")
    return job


def _checked_job(what: object) -> Job[Any]:
    if isinstance(what, Job):
        return cast("Job[Any]", what)  # type: ignore[redundant-cast]
    hint = "; decorate it with @engine.job()" if callable(what) else "; make one with handler.job(...)"
    raise ConfigError(f"{what!r:.80} is no job, job type or name of one{hint}")


def _at(error: EngineError, index: int) -> EngineError:
    if isinstance(error, PayloadError):
        return type(error)(f"job {index}: {error}", argument=error.argument, index=index)
    error.index = index
    error.add_note(f"the job at index {index}")
    return error


def _iterated(jobs: object) -> Iterator[object]:
    if not isinstance(jobs, Iterable) or isinstance(jobs, str | bytes | Mapping):
        raise ConfigError(f"dispatch_many takes an iterable of jobs, got {jobs!r:.80}")
    return iter(cast("Iterable[object]", jobs))


class _Source:
    """Jobs in portions.

    Attributes:
        taken: how many came so far.
        is_over: there are no more.
    """

    def __init__(self, jobs: Jobs) -> None:
        self.taken = 0
        self.is_over = False
        self._later: AsyncIterator[object] | None = None
        self._now: Iterator[object] = iter(())
        if isinstance(jobs, AsyncIterable):
            self._later = aiter(jobs)
        else:
            self._now = _iterated(jobs)

    async def take(self, most: int) -> list[object]:
        portion: list[object] = []
        try:
            if self._later is not None:
                while len(portion) < most and (job := await anext(self._later, _END)) is not _END:
                    portion.append(job)
            else:
                portion.extend(islice(self._now, most))
        except EngineError as error:
            raise _at(error, self.taken + len(portion)) from error
        self.taken += len(portion)
        self.is_over = len(portion) < most
        return portion
