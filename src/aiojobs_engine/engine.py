"""The engine: the only place where a backend meets a runtime."""

from __future__ import annotations

import logging
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, Unpack, overload

import msgspec

from aiojobs_engine.backends import checked_scheme
from aiojobs_engine.bulk.call import ImportArguments
from aiojobs_engine.bulk.exported import ExportedFile
from aiojobs_engine.bulk.exporter import ExportType
from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.bulk.intake import Source
from aiojobs_engine.bulk.registry import JobRegistry
from aiojobs_engine.bulk.report import ImportReport
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import StoredEvent
from aiojobs_engine.core.flow import Batch, Step
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.job_settings import DeliveryMode
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.masking import redacted
from aiojobs_engine.core.options import strangers
from aiojobs_engine.core.status import UserId
from aiojobs_engine.declaring import Declaring
from aiojobs_engine.desks.cron import CronDesk
from aiojobs_engine.desks.dead import DeadDesk
from aiojobs_engine.desks.diagnosis import Diagnosis, diagnose
from aiojobs_engine.desks.executions import ExecutionsDesk
from aiojobs_engine.desks.explain import Explanation, explain
from aiojobs_engine.desks.exports import ExportsDesk
from aiojobs_engine.desks.failures import FailuresDesk
from aiojobs_engine.desks.health import Health, health
from aiojobs_engine.desks.jobs import JobsDesk
from aiojobs_engine.desks.limits import LimitsDesk
from aiojobs_engine.desks.queues import QueuesDesk
from aiojobs_engine.desks.workers import TypesDesk, WorkersDesk
from aiojobs_engine.dispatching.composing import Composing
from aiojobs_engine.dispatching.crons import entries_in_code
from aiojobs_engine.dispatching.dispatcher import Dispatcher, Jobs
from aiojobs_engine.dispatching.flows import BatchHandle
from aiojobs_engine.dispatching.names import NamedType
from aiojobs_engine.events.bus import Subscription
from aiojobs_engine.events.stream import Tail, follow, matcher
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.isolation import isolate_for
from aiojobs_engine.lifetime.companions import beside_worker
from aiojobs_engine.lifetime.hosting import entering, hosted
from aiojobs_engine.lifetime.lifecycle import Lifecycle, checked_store
from aiojobs_engine.lifetime.singleton import Singleton
from aiojobs_engine.listing import checked_cursor
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.metrics import MetricsCollector
from aiojobs_engine.ports.storage import Storage, Storages
from aiojobs_engine.runtime.registry import JobType, checked_registry
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.worker import Worker
from aiojobs_engine.settings import load_settings

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
Config = Settings | Mapping[str, Any] | str | os.PathLike[str]


class Engine(Declaring, Composing):
    """Dispatches jobs, runs workers, and shows and steers what they do.

    `async with engine:` opens it; it can be opened again, and entered several times at once. One engine
    belongs to one process and event loop at a time.

    Attributes:
        registry: the job types.
        settings: the configuration in force.
        target: the `module:attribute` that a command line loaded it from, None elsewhere.
        jobs, queues, dead, cron, limits, workers, types, failures, exports, executions: the desks.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        backend: Store | None = None,
        config: Config | None = None,
        registry: JobRegistry | None = None,
        clock: Clock | None = None,
        metrics: MetricsCollector | None = None,
    ) -> None:
        """Configure an engine; nothing is connected before it is opened.

        Args:
            url: where the jobs lie; without one `AIOJOBS_URL`, then the configuration says.
            backend: a store of your own, instead of a URL.
            config: a TOML file, sections by name that win over files and environment, or all settings.
            registry: job types; without one the engine has its own, empty.
            clock: the machine's time by default.
            metrics: where figures go; by default where the program has set a meter provider, if it has.

        Raises:
            ConfigError: a setting or the URL is wrong; see `load_settings`.
        """
        if url is not None and backend is not None:
            raise ConfigError("an engine has a url or a backend, not both")
        if clock is not None and not isinstance(clock, Clock):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"clock= takes a clock, got {clock!r:.80}")
        store = None if backend is None else checked_store(backend)
        settings = _loaded(config)
        if url is not None:
            checked_scheme(url)
            settings = msgspec.structs.replace(settings, url=url)
        _ = settings.masker  # its patterns are checked here, not at the first error
        if store is None:
            checked_scheme(settings.url)
        self.settings = settings
        self.target: str | None = None
        super().__init__(JobRegistry(clock) if registry is None else checked_registry(registry))
        self._has_own_backend = store is not None
        self._life = Lifecycle(store, clock=clock or SystemClock(), settings=settings, registry=self.registry)
        self._life.metrics = metrics
        door = self._door = self._life.door
        self._dispatcher = Dispatcher(door)
        self.jobs = JobsDesk(door)
        self.queues = QueuesDesk(door)
        self.dead = DeadDesk(door)
        self.cron = CronDesk(door, self.registry)
        self.limits = LimitsDesk(door)
        self.workers = WorkersDesk(door)
        self.types = TypesDesk(door)
        self.failures = FailuresDesk(door)
        self.executions = ExecutionsDesk(settings, door, lambda: self.clock, self._execution_handlers)
        self.exports = ExportsDesk(door)

    @classmethod
    def from_config(cls, path: str | os.PathLike[str] | None = None) -> Engine:
        """The engine that a file configures: without a path `aiojobs.toml` or `pyproject.toml` here, if any.

        Raises:
            ConfigError: a file that is named is missing, or one is wrong.
        """
        return cls(config=path)

    @property
    def clock(self) -> Clock:
        """The engine's time."""
        return self._life.clock

    @property
    def metrics(self) -> MetricsCollector | None:
        """Where figures go; another one counts from the next opening on."""
        return self._life.metrics

    @metrics.setter
    def metrics(self, collector: MetricsCollector | None) -> None:
        self._life.metrics = collector

    @property
    def storage(self) -> Storages:
        """Where the rows of bulk jobs and the files of exports lie."""
        return self._life.storage

    @property
    def store(self) -> Store:
        """The open store, for tools that look deeper than the desks.

        Raises:
            BackendClosed: the engine is not open.
        """
        return self._life.door().store

    @property
    def is_open(self) -> bool:
        """Whether calls are possible."""
        return self._life.door.session is not None

    def listen(self, subscription: Subscription) -> None:
        """Hand every event that fits to a listener, from now on; `@engine.on` is the short way."""
        self._life.listen(subscription)

    @overload
    async def dispatch(
        self, what: ImportType[Any], /, source: Source, **call: Unpack[ImportArguments]
    ) -> JobHandle[ImportReport]: ...
    @overload
    async def dispatch(
        self,
        what: ExportType,
        /,
        *args: Any,
        to: str | os.PathLike[str] | None = ...,
        delivery: DeliveryMode | None = ...,
        **kwargs: Any,
    ) -> JobHandle[ExportedFile]: ...
    @overload
    async def dispatch(self, what: JobType[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    async def dispatch(self, what: Job[R], /) -> JobHandle[R]: ...
    @overload
    async def dispatch(self, what: Batch, /) -> BatchHandle: ...
    @overload
    async def dispatch(self, what: Step, /) -> JobHandle[Any]: ...
    @overload
    async def dispatch(self, what: str, /, *args: Any, **kwargs: Any) -> JobHandle[Any]: ...
    async def dispatch(self, what: object, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Store a job; it is safe when this returns. Repeating it with the same `Job` or `id` is safe too.

        `what` is a job type with the job's arguments, a `Job`, a chain or batch of jobs (in one write, all or
        none), or the name of a job type, whose arguments come by name; for one that nobody knows yet,
        `queue=` says where to. Calls at the same time share one write.

        Raises:
            PayloadError: the arguments don't fit the handler, or can't be stored; it names the argument.
            UnknownJobType: nobody has registered or published this name, and no queue is given.
            DependencyNotFound: a job that it is to follow is not stored.
            IdConflict: a job of this id is stored, with another type, queue or payload.
            ConfigError: an option is wrong, or `what` is nothing that can be dispatched.
            BackendUnavailable: the store can't be reached; the job may be stored.
            BackendFull: the store has no room; the job is not stored.
            BackendClosed: the engine is not open.
        """
        return await self._dispatcher.dispatch(what, args, kwargs)

    @overload
    async def dispatch_many(self, jobs: Iterable[Job[R]] | AsyncIterable[Job[R]]) -> list[JobHandle[R]]: ...
    @overload
    async def dispatch_many(self, jobs: Jobs) -> list[JobHandle[Any]]: ...
    async def dispatch_many(self, jobs: Jobs) -> list[JobHandle[Any]]:
        """Store jobs in slices of 1,000, each whole, in order; handles in the same order.

        `jobs` may be lazy, and asynchronous. A slice is written when all its jobs are right, so an error says
        at which index, and all slices before that one are stored.

        Raises:
            PayloadError: `index` is the position of the job at fault, here and below.
            IdConflict: the other jobs of its slice are stored.
            BackendUnavailable, BackendFull, BackendClosed, UnknownJobType, ConfigError: as in `dispatch`.
        """
        return await self._dispatcher.dispatch_many(jobs)

    def named(self, name: str) -> NamedType:
        """A job type whose code is elsewhere, to dispatch it with options."""
        return NamedType(name, self.registry.ids)

    def handle(self, job_id: str) -> JobHandle[Any]:
        """The handle of a job that was dispatched before; its use shows whether the job exists."""
        return JobHandle(checked_name(job_id, "a job id"), self._life.door, created=False)

    async def events(
        self,
        *,
        after: str | None = None,
        user_id: UserId | None = None,
        type: str | None = None,
        job_id: str | None = None,
        kind: str | None = None,
    ) -> AsyncIterator[StoredEvent]:
        """What every process emits, as it comes, without end; `after=event.cursor` goes on where one stopped.

        Without `after` it begins at the first step of the iteration.

        Raises:
            ConfigError: `after` is no cursor of this store.
            BackendClosed: the engine is not open any more.
        """
        session = self._life.door()
        place = checked_cursor(after)
        tail = Tail(session.stream, session.clock, await session.store.tail() if place is None else place)
        async for event in follow(tail, matcher(user_id=user_id, type=type, job_id=job_id, kind=kind)):
            yield event

    async def explain(self, job_id: str) -> Explanation:
        """Why a job is not running, or what holds it; every reason that there is, the first to go first.

        Raises:
            JobNotFound: it is not stored.
        """
        return await explain(self._life.door(), job_id)

    def singleton(self, name: str, *, timeout: float | None = None, lease: float | None = None) -> Singleton:
        """A lock for `async with`; it waits `timeout` seconds, None for ever, and renews its lease."""
        return Singleton(self._life.door, name, lease=lease or self.settings.worker.lease, timeout=timeout)

    async def health(self) -> Health:
        """Whether jobs get done, and what is in the way; a store that can't be reached is an answer too."""
        return await health(self._life.door())

    async def diagnose(self) -> Diagnosis:
        """What is wrong with the store and around it; it looks at every job, in pages, and only reads."""
        return await diagnose(self._life.door())

    def worker(
        self,
        *,
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        burst: bool = False,
        await_retries: bool = True,
        cron: bool | None = None,
        on_entered: Callable[[], None] | None = None,
        leave: Callable[[], None] | None = None,
    ) -> Worker:
        """A worker on the open engine, not running yet: `await worker.run()` runs it until `worker.stop()`.

        Args:
            cron: whether it fires cron entries; `worker.cron` says so without. A burst fires none.
            on_entered: called when the resources are entered.
            leave: ends the process when a job blocks the loop past its timeout; by default it goes on.

        Raises:
            ConfigError: nothing is registered, or a number is out of range.
        """
        session = self._life.door()
        for stranger in strangers(self.settings, {t.name: t.kind for t in self.registry.types.values()}):
            logger.warning("the configuration: %s", stranger)
        fires = not burst and (self.settings.worker.cron if cron is None else cron)
        resources = self._resources if on_entered is None else entering(self._resources, on_entered)
        return Worker(
            session.store,
            self.registry,
            self.settings,
            self.clock,
            engine=self,
            storage=self.storage,
            resources=resources,
            middleware=self._middleware,
            queues=queues,
            concurrency=concurrency,
            burst=burst,
            await_retries=await_retries,
            rescue=self._life.rescue(leave, has_own_backend=self._has_own_backend),
            crons=entries_in_code(self.registry, session.templates) if fires else None,
            isolate=None if self._has_own_backend or self._life.is_substituted else isolate_for(self),
            **beside_worker(
                session, self._life.durable, self.executions.handlers(), self._recipients
            )._asdict(),
        )

    @asynccontextmanager
    async def running(self, *, worker: bool = True) -> AsyncGenerator[Engine]:
        """Open the engine and, with `worker`, run one in this loop; leaving drains it. No signal handlers."""
        async with self:
            if not worker:
                yield self
                return
            async with hosted(lambda entered: self.worker(on_entered=entered)):
                yield self

    def substituted(self, *, store: Store, clock: Clock, storage: Storage) -> AbstractContextManager[None]:
        """Work on other parts for a while, as a closed engine: what `TestEngine` stands on."""
        return self._life.substituted(store=store, clock=clock, storage=storage)

    async def __aenter__(self) -> Self:
        self.declare_configured()
        await self._life.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._life.leave()

    def __repr__(self) -> str:
        """Show the URL, without its password."""
        where = "its own backend" if self._has_own_backend else redacted(self.settings.url)
        return f"<Engine {where}>"


def _loaded(config: Config | None) -> Settings:
    if config is None or isinstance(config, str | os.PathLike):
        return load_settings(config)
    return load_settings(overrides=config)
