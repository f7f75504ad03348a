"""Chains, batches and callbacks as the envelopes that a store binds to each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypedDict

import anyio.lowlevel
import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError, DependencyNotFound, IdConflict
from aiojobs_engine.core.flow import Batch, Chain, Linked, Step
from aiojobs_engine.core.job import Job, checked_options
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.needs import BATCH, Need, When
from aiojobs_engine.core.status import UserId
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.lifetime.session import OpenSession, Session

MOST_JOBS = 20_000
_DEEPEST = 50
_STRIDE = 250


class BatchOptions(TypedDict, total=False):
    """What `engine.batch` takes by name: options of the job that stands for the batch.

    Without a queue it is that of the first member.
    """

    id: str
    queue: str
    user_id: UserId
    tags: Sequence[str]
    meta: Mapping[str, Any]


_BATCH_OPTIONS = frozenset(BatchOptions.__annotations__) - {"id"}


class _Placed(NamedTuple):
    what: Job[Any] | Batch
    needs: tuple[Need, ...]
    batch_id: str | None


class BatchHandle(JobHandle[None], frozen=True, eq=False, gc=False):
    """A stored batch. `status()` counts its members, `cancel()` reaches all of them, `result()` is None.

    `result()` raises `JobFailedError` when no member completed; when only some did, the status is `partial`.
    """

    async def add(self, *members: Step) -> list[JobHandle[Any]]:
        """Store more members; a member that runs keeps its batch open, so it can always add. In one write.

        The handles are those of the last job of each member.

        Raises:
            DependencyNotFound: the batch has ended, or is being cancelled; nothing was stored.
            ConfigError, PayloadError, UnknownJobType, IdConflict, BackendFull: as in `Engine.dispatch`.
        """
        session = self._open()
        layout = _Layout(session)
        exits = [layout.place(member, (), self.id) for member in members]
        created = await layout.store()
        return [layout.handle(needs[0].job_id, self._open, created) for needs in exits]


class EngineBatch(Batch):
    """A batch that its engine dispatches where `async with` ends, unless that raised.

    Attributes:
        handle: the stored batch; None before.
    """

    def __init__(self, open_session: OpenSession, members: Iterable[Step], **what: Any) -> None:
        """Belong to an engine."""
        super().__init__(members, **what)
        self._open = open_session
        self.handle: BatchHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            stored = await dispatch_flow(self._open, self)
            self.handle = BatchHandle(stored.id, self._open, created=stored.created)


async def dispatch_flow(open_session: OpenSession, step: Step) -> JobHandle[Any]:
    """Store all jobs of `step` in one write; the handle of its last job, of a batch that of the batch.

    Raises:
        ConfigError: a job stands in it twice, or there are too many.
        DependencyNotFound: a job that it needs is not stored.
        PayloadError, UnknownJobType, IdConflict, BackendFull: as in `Engine.dispatch`.
    """
    session = open_session()
    layout = _Layout(session)
    needs = layout.place(step, (), None)
    created = await layout.store()
    return layout.handle(needs[0].job_id, open_session, created)


async def store_linked(session: Session, envelopes: Sequence[Envelope]) -> dict[str, bool]:
    """Store envelopes with links; which of the ids are new.

    Raises:
        ConfigError: one of them is unique.
        DependencyNotFound: a job that one of them names is not there; nothing was stored.
        IdConflict: an id is taken by another job; the others are stored.
    """
    check_unique(envelopes)
    tracing = session.tracing()
    if tracing is None:
        answers = await session.enqueue(envelopes)
    else:
        with tracing.send_many() as carry:
            answers = await session.enqueue(carry(list(envelopes)))
    for answer in answers:
        if answer.missing is not None:
            raise DependencyNotFound(answer.missing)
    for answer in answers:
        if answer.conflict:
            raise IdConflict(answer.job_id)
    return {answer.job_id: answer.created for answer in answers}


def check_unique(envelopes: Sequence[Envelope]) -> None:
    """See that no job is unique: if it lost, those that are bound to it would have nothing to follow.

    Raises:
        ConfigError: one is.
    """
    for envelope in envelopes:
        if envelope.unique is not None:
            raise ConfigError(
                f"{envelope.type} is unique, and such jobs are not bound to others, nor stored with them; "
                f"take {envelope.type}.options(unique=False)"
            )


class _Layout:
    """Jobs and batches in an order in which none comes before what it needs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._placed: dict[str, _Placed] = {}

    def place(
        self, step: Step, needs: tuple[Need, ...], batch_id: str | None, depth: int = 0
    ) -> tuple[Need, ...]:
        """Put a step behind `needs`; what those need that follow it, its last job first."""
        if depth > _DEEPEST:
            raise ConfigError(f"batches nest at most {_DEEPEST} deep")
        if isinstance(step, Chain):
            for each in step.steps:
                needs = self.place(each, needs, batch_id, depth + 1)
            return needs
        if isinstance(step, Linked):
            exits = self.place(step.step, needs, batch_id, depth + 1)
            self._place_callbacks(step.callbacks, exits, depth)
            return exits
        if isinstance(step, Batch):
            return self._place_batch(step, needs, batch_id, depth)
        if not isinstance(step, Job):
            raise ConfigError(f"{step!r:.80} is no job, chain or batch")
        self._put(step.id, _Placed(step, needs, batch_id))
        return (Need(step.id),)

    async def store(self) -> dict[str, bool]:
        """Store all in one write; which of the ids are new."""
        envelopes: list[Envelope] = []
        for placed in reversed(list(self._placed.values())):
            envelopes.append(await self._envelope(placed, envelopes))
            if len(envelopes) % _STRIDE == 0:
                await anyio.lowlevel.checkpoint()
        envelopes.reverse()
        return await store_linked(self._session, envelopes) if envelopes else {}

    def handle(self, job_id: str, open_session: OpenSession, created: dict[str, bool]) -> JobHandle[Any]:
        """The handle of a job or batch that was stored."""
        is_batch = isinstance(self._placed[job_id].what, Batch)
        kind: type[JobHandle[Any]] = BatchHandle if is_batch else JobHandle
        return kind(job_id, open_session, created=created[job_id])

    def _place_batch(
        self, batch: Batch, needs: tuple[Need, ...], batch_id: str | None, depth: int
    ) -> tuple[Need, ...]:
        if batch.id is None:
            batch.id = self._session.registry.ids()
        checked_name(batch.id, "a job id")
        self._put(batch.id, _Placed(batch, (), batch_id))
        for member in batch.members:
            self.place(member, needs, batch.id, depth + 1)
        exits = (Need(batch.id),) if batch.members else (Need(batch.id), *needs)
        self._place_callbacks(batch.callbacks, exits, depth)
        return exits

    def _place_callbacks(
        self, callbacks: Sequence[tuple[When, Step]], exits: tuple[Need, ...], depth: int
    ) -> None:
        for when, callback in callbacks:
            self.place(callback, (Need(exits[0].job_id, when), *exits[1:]), None, depth + 1)

    def _put(self, job_id: str, placed: _Placed) -> None:
        if job_id in self._placed:
            raise ConfigError(f"the job {job_id!r} stands twice in one dispatch; make a job for each place")
        self._placed[job_id] = placed
        if len(self._placed) > MOST_JOBS:
            raise ConfigError(
                f"one dispatch stores at most {MOST_JOBS:,} jobs that belong together; "
                "let a member add the others with ctx.batch.add(...)"
            )

    async def _envelope(self, placed: _Placed, behind: Sequence[Envelope]) -> Envelope:
        """The envelope of a job; those `behind` it, the last one first, are made already."""
        what = placed.what
        if isinstance(what, Batch):
            return self._batch(what, placed, behind[-1] if behind else None)
        templates = self._session.templates
        envelope = templates.envelope(what) or await templates.looked_up(what)
        needs = (*envelope.needs, *placed.needs)
        return msgspec.structs.replace(envelope, needs=needs, parent_id=placed.batch_id)

    def _batch(self, batch: Batch, placed: _Placed, first: Envelope | None) -> Envelope:
        options = checked_options(batch.options, _BATCH_OPTIONS, "a batch")
        options.setdefault("queue", "default" if first is None or not batch.members else first.queue)
        return Envelope(
            id=batch.id or "",
            type=checked_name(batch.type, "the name of a batch"),
            kind=BATCH,
            payload=msgspec.Raw(b"{}"),
            created_at=self._session.clock.now(),
            strategy="batch",
            parent_id=placed.batch_id,
            **options,
        )
