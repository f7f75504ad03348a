"""What an application declares at import: its job types, listeners, resources and middleware."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never, TypeVar, Unpack

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
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.core.job import TypeOptions
from aiojobs_engine.events.bus import Subscription, checked_classes
from aiojobs_engine.lifetime.apps import AppMember
from aiojobs_engine.lifetime.hosting import Resources, checked_middleware, checked_resources
from aiojobs_engine.runtime.context import Middleware
from aiojobs_engine.runtime.registry import JobDecorator, checked_registry

ListenerT = TypeVar("ListenerT", bound=Callable[[Any], object])
MiddlewareT = TypeVar("MiddlewareT", bound=Middleware)
ResourcesT = TypeVar("ResourcesT", bound=Callable[[], object])


class Declaring(AppMember):
    """The decorators of an engine.

    Attributes:
        registry: the job types.
    """

    def __init__(self, registry: JobRegistry) -> None:
        self.registry = registry
        self._resources: Resources | None = None
        self._middleware: list[Middleware] = []

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

    def on(
        self,
        *events: type[JobEvent],
        type: str | None = None,
        kind: str | None = None,
        queue: str | None = None,
    ) -> Callable[[ListenerT], ListenerT]:
        """Call the decorated function with events of these classes, all without one, that fit what is given.

        It runs where the event was written, at most once per event. An async function runs on the loop, a
        plain one in a thread; up to 1,000 events wait for it, then the oldest give way.

        Raises:
            ConfigError: a class is no event.
        """
        classes = checked_classes(events)

        def register(fn: ListenerT) -> ListenerT:
            self.listen(Subscription(call=fn, classes=classes, type=type, kind=kind, queue=queue))
            return fn

        return register
