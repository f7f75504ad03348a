"""What an application declares at import: its job types, listeners, resources and middleware."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never, TypeVar, Unpack, cast

from aiojobs_engine.bulk.registry import (
    ExportDecorator,
    ExporterOptions,
    ImportDecorator,
    ImporterOptions,
    JobRegistry,
    exporter,
    importer,
)
from aiojobs_engine.bulk.row_types import RowT
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.core.job import TypeOptions
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.desks.executions import BUILT_IN
from aiojobs_engine.events.bus import Subscription, checked_classes
from aiojobs_engine.events.listeners.recipients import FindRecipients
from aiojobs_engine.lifetime.apps import AppMember
from aiojobs_engine.lifetime.configured import declare
from aiojobs_engine.lifetime.hosting import Resources, checked_middleware, checked_resources
from aiojobs_engine.runtime.context import Middleware
from aiojobs_engine.runtime.registry import JobDecorator, checked_registry
from aiojobs_engine.telemetry.execution_log import ExecutionHandler

ExecutionHandlerT = TypeVar("ExecutionHandlerT", bound=ExecutionHandler)
ListenerT = TypeVar("ListenerT", bound=Callable[[Any], object])
MiddlewareT = TypeVar("MiddlewareT", bound=Middleware)
RecipientsT = TypeVar("RecipientsT", bound=FindRecipients)
ResourcesT = TypeVar("ResourcesT", bound=Callable[[], object])


class Declaring(AppMember):
    """The decorators of an engine.

    Attributes:
        registry: the job types.
        settings: the configuration in force.
    """

    settings: Settings

    def __init__(self, registry: JobRegistry) -> None:
        self.registry = registry
        self._resources: Resources | None = None
        self._middleware: list[Middleware] = []
        self._recipients: FindRecipients | None = None
        self._execution_handlers: dict[str, ExecutionHandler] = {}

    @abstractmethod
    def listen(self, subscription: Subscription) -> None:
        """Hand every event that fits to a listener, from now on."""

    @property
    def entered_by_workers(self) -> Resources | None:
        """What `@engine.resources` decorated, None without."""
        return self._resources

    @property
    def wrapping_runs(self) -> Sequence[Middleware]:
        """What `@engine.middleware` decorated, the outermost first."""
        return tuple(self._middleware)

    def job(self, *misplaced: Never, **options: Unpack[TypeOptions]) -> JobDecorator:
        """Register the decorated function as a job type; see `JobRegistry.job`."""
        return self.registry.job(*misplaced, **options)

    def importer(
        self, name: str | None = None, *, row: type[RowT], **options: Unpack[ImporterOptions]
    ) -> ImportDecorator[RowT]:
        """Register the decorated function as an importer; see `JobRegistry.importer`."""
        return importer(self.registry, name, row=row, **options)

    def exporter(
        self,
        name: str | None = None,
        *,
        columns: Sequence[str] | Mapping[str, str],
        **options: Unpack[ExporterOptions],
    ) -> ExportDecorator:
        """Register the decorated function as an exporter; see `JobRegistry.exporter`."""
        return exporter(self.registry, name, columns=columns, **options)

    def declare_configured(self) -> None:
        """Import and register the job types that `[jobs.NAME] handler` declares; opening the engine does it.

        It may be repeated.

        Raises:
            ConfigError: a path leads nowhere, or a type can't be so; the error names the key.
        """
        declare(self.registry, self.settings)

    def include(self, registry: JobRegistry) -> None:
        """Adopt the job types of a registry.

        Raises:
            ConfigError: a name is taken by another type.
        """
        self.registry.include(checked_registry(registry))

    def resources(self, fn: ResourcesT) -> ResourcesT:
        """Let each worker process enter `fn()` once, an async context manager; handlers find `ctx.resources`.

        Raises:
            ConfigError: `fn` is none, or there is one already.
        """
        if self._resources is not None:
            raise ConfigError("an engine has one @engine.resources; enter several things inside it")
        self._resources = checked_resources(fn)
        return fn

    def middleware(self, fn: MiddlewareT) -> MiddlewareT:
        """Wrap every run by `async def fn(ctx, call_next)`; the first one registered is the outermost.

        Raises:
            ConfigError: `fn` is no async function.
        """
        self._middleware.append(checked_middleware(fn))
        return fn

    def recipients(self, fn: RecipientsT) -> RecipientsT:
        """Ask the decorated function, with an event, who is told that a job has ended; see `Webhook`.

        It answers `Webhook`, `Email` and `Call` objects, most often by `event.user_id`, and may be async.
        `[listeners] notify` switches it, for all jobs or by kind and type.

        Raises:
            ConfigError: there is one already.
        """
        if self._recipients is not None:
            raise ConfigError("an engine has one @engine.recipients")
        self._recipients = fn
        return fn

    def execution_handler(self, name: str) -> Callable[[ExecutionHandlerT], ExecutionHandlerT]:
        """Register an async function of a list of `ExecutionRecord`s for `execution_log.handlers`.

        Raises:
            ConfigError: the name is taken, or the function isn't async.
        """

        def register(fn: ExecutionHandlerT) -> ExecutionHandlerT:
            if name in self._execution_handlers or name in BUILT_IN:
                raise ConfigError(f"there is a handler {name!r} of the execution log already")
            if not inspect.iscoroutinefunction(cast("object", fn)):
                raise ConfigError(f"a handler of the execution log is an async function, got {fn!r:.80}")
            self._execution_handlers[name] = fn
            return fn

        return register

    def on(
        self,
        *events: type[JobEvent],
        type: str | None = None,
        kind: str | None = None,
        queue: str | None = None,
        durable: str | None = None,
    ) -> Callable[[ListenerT], ListenerT]:
        """Call the decorated function with events of these classes, all without one, that fit what is given.

        It runs where the event was written, at most once per event. An async function runs on the loop, a
        plain one in a thread; up to 1,000 events wait for it, then the oldest give way.

        With `durable="name"` a worker reads the events of all processes from the stream, in order and at
        least once, and goes on where the last one stopped; of all workers one at a time does. The first one
        begins with what happens from then on. A call that raises is repeated, five times in all.

        Raises:
            ConfigError: a class is no event, or another durable listener has the name.
        """
        classes = checked_classes(events)
        if durable is not None:
            checked_name(durable, "durable")

        def register(fn: ListenerT) -> ListenerT:
            self.listen(
                Subscription(call=fn, classes=classes, type=type, kind=kind, queue=queue, durable=durable)
            )
            return fn

        return register
