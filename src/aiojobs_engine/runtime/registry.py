"""Job types: the handlers by name, with their options; where decorators put them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Generic, Never, ParamSpec, TypeVar, Unpack, cast, overload

import msgspec

from aiojobs_engine.core.codec import ArgumentCodec, ResultCodec, encode_json, handler_parameters
from aiojobs_engine.core.errors import ConfigError, PayloadError, UnknownJobType
from aiojobs_engine.core.job import (
    CALL_OPTIONS,
    TYPE_OPTIONS,
    CallOptions,
    Job,
    RunIn,
    TypeOptions,
    check_keys,
    checked_options,
)
from aiojobs_engine.core.job_settings import JobSettings
from aiojobs_engine.core.limits import checked_name, is_name
from aiojobs_engine.core.outcome import Failed, Outcome, Succeeded
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.ids import IdSource
from aiojobs_engine.runtime.plans import CronPlan
from aiojobs_engine.runtime.system_clock import SystemClock

_BULK = {"import": "importer", "export": "exporter"}
_UNANNOTATED = {
    "ctx": "write ctx: JobContext",
    "context": "write context: JobContext",
    "self": "decorate functions, for a job has no object to call a method of",
}

P = ParamSpec("P")
R = TypeVar("R")
RegistryT = TypeVar("RegistryT", bound="JobRegistry")


class JobType(Generic[P, R]):
    """A registered handler. Calling it runs the handler itself, without the engine.

    Attributes:
        name: unique in a registry.
        kind: `job`, `import`, `export`, `sync`, `report` or the user's own.
        decorated: the options that the decorator set, checked.
        takes_context: whether the handler's first parameter is the `JobContext`.
        keeps_result: its results stay as long as their jobs, whatever `result_ttl` says.
    """

    keeps_result = False

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str,
        kind: str,
        options: Mapping[str, Any],
        ids: Callable[[], str],
    ) -> None:
        """Compile the handler's signature.

        Raises:
            ConfigError: the name, an option or a parameter can't be used.
        """
        self.fn = fn
        self.name = checked_name(name, "the name of a job type")
        self.kind = checked_name(kind, "a kind")
        self.decorated = checked_options(options, TYPE_OPTIONS, f"job type {name!r}")
        self._runs_in_loop = self._is_async(fn)
        parameters, hints = self._parameters(fn)
        self.takes_context = takes_context(parameters, hints, f"job type {name!r}")
        self._keyword_only = sum(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)
        self.place(self.decorated.pop("run_in", "loop" if self._runs_in_loop else "thread"))
        self.arguments = ArgumentCodec(parameters[self.takes_context :], hints, name)
        check_keys(self.decorated, self.arguments.names, f"job type {name!r}")
        self.results = ResultCodec(hints.get("return", inspect.Signature.empty))
        self._ids = ids
        self._call_options: dict[str, Any] = {}

    def place(self, run_in: RunIn) -> None:
        """Run the handler in the loop, in threads or in processes from now on.

        Raises:
            ConfigError: it can't run there.
        """
        if run_in != "loop" and self._runs_in_loop:
            raise ConfigError(
                f"job type {self.name!r} is an async function, so it runs in the loop, not in a {run_in}"
            )
        if run_in == "loop" and not self._runs_in_loop:
            raise ConfigError(
                f"job type {self.name!r} is a plain function; leave run_in out, or use 'thread' or 'process'"
            )
        if run_in == "process" and self.takes_context:
            raise ConfigError(
                f"job type {self.name!r} runs in a process of its own, where it can't have a JobContext"
            )
        self.run_in: RunIn = run_in
        self._is_direct = run_in == "loop" and not self._keyword_only

    def _is_async(self, fn: Callable[..., Any]) -> bool:
        """Whether the handler runs in the loop.

        Raises:
            ConfigError: it is no handler of this kind of job.
        """
        if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
            raise ConfigError(
                f"job type {self.name!r} yields, and a job returns; rows are for @engine.exporter"
            )
        return inspect.iscoroutinefunction(fn)

    def _parameters(self, fn: Callable[..., Any]) -> tuple[list[inspect.Parameter], dict[str, Any]]:
        """What a call takes, the context included, and the annotations."""
        return handler_parameters(fn)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the handler here and now; one that takes a context needs `TestEngine.run` instead."""
        if self.takes_context:
            raise ConfigError(
                f"{self.name} takes a JobContext; call it through TestEngine.run or dispatch it"
            )
        answer = self.fn(*args, **kwargs)
        return cast("R", await answer if inspect.isawaitable(answer) else answer)

    async def perform(self, context: JobContext, claim: Claim) -> Outcome:
        """Run the handler once on the arguments of `claim`; whatever it raises goes to the caller."""
        try:
            args = self.arguments.decode(claim.envelope.payload)
        except PayloadError as error:
            return Failed(error, permanent="payload")
        if self._is_direct and not context.port.middleware:  # most jobs, spared two layers of coroutines
            return Succeeded(await (self.fn(context, *args) if self.takes_context else self.fn(*args)))
        return Succeeded(await self.invoke(context, args))

    async def invoke(self, context: JobContext, args: tuple[Any, ...]) -> Any:
        """Call the handler, inside the middleware, where its options say: loop, thread or process."""
        middleware = context.port.middleware
        if not middleware:
            return await self._call(context, args)
        call: Callable[[], Awaitable[Any]] = partial(self._call, context, args)
        for layer in reversed(middleware):
            call = partial(layer, context, call)
        return await call()

    def call_plain(self, payload: bytes) -> Any:
        """Call a plain function on encoded arguments, here and now."""
        args, kwargs = self._split(self.arguments.decode(payload))
        return self.fn(*args, **kwargs)

    async def _call(self, context: JobContext, args: tuple[Any, ...]) -> Any:
        values, named = self._split(args) if self._keyword_only else (args, {})
        if self.takes_context:
            values = (context, *values)
        if self.run_in == "loop":
            return await self.fn(*values, **named)
        if self.run_in == "thread":
            return await context.port.in_thread(context, partial(self.fn, *values, **named))
        given = encode_json(dict(zip(self.arguments.names, args, strict=True)), self.name)
        return self.results.arrived(await context.port.in_process(self.fn, given))

    def _split(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        count = len(args) - self._keyword_only
        return args[:count], dict(zip(self.arguments.names[count:], args[count:], strict=True))

    def salvage_cursor(self, claim: Claim) -> bytes | None:
        """With what cursor a job out of attempts gets one more run, to save what it can; None for no run."""
        del claim
        return None

    async def lost_rows(self, context: JobContext, claim: Claim, error: ErrorInfo) -> RowsLost:
        """What a bulk job or chunk that ends `failed` leaves behind: its counters, faults of its rows.

        Of a chunk all rows have failed; what has no rows of its own keeps the progress that it reported.
        """
        del error
        total = claim.envelope.total
        if total or claim.envelope.kind == "import":
            total = total or claim.counters.total
            return RowsLost(counters=Counters(failed=total, total=total))
        return RowsLost(counters=context.final_counters or claim.counters)

    def options(self, **options: Unpack[CallOptions]) -> JobType[P, R]:
        """The same type with options for one call; they win over all others.

        Raises:
            ConfigError: an option is unknown or out of range.
        """
        checked = checked_options(cast("Mapping[str, Any]", options), CALL_OPTIONS, f"{self.name}.options")
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._call_options = {**self._call_options, **checked}
        check_keys(checked, self.arguments.names, f"{self.name}.options")
        return other

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """A job with these arguments, not stored yet; dispatched twice it is one job.

        Raises:
            PayloadError: the arguments don't fit the handler, or can't be JSON.
        """
        return self._made(self.arguments.encode(args, kwargs))

    def job_from_json(self, encoded: bytes) -> Job[R]:
        """A job whose arguments are a JSON object already.

        Raises:
            PayloadError: the arguments don't fit the handler.
        """
        return self._made(self.arguments.check(encoded))

    def _made(self, payload: bytes) -> Job[R]:
        options = self._call_options
        return Job(
            id=options.get("id") or self._ids(),
            type=self.name,
            kind=self.kind,
            payload=payload,
            options=options,
        )

    def __repr__(self) -> str:
        """Show the name."""
        return f"<JobType {self.name}>"


class RowsLost(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chunk that failed as a whole; `resolved` as in `Settlement`."""

    counters: Counters
    faults: tuple[RowFault, ...] = ()
    resolved: tuple[int, ...] | None = None


class JobDecorator:
    """What `@registry.job(...)` returns: it takes the handler, with or without a context parameter."""

    def __init__(self, registry: JobRegistry, options: Mapping[str, Any]) -> None:
        """Keep what the handler is to be registered with."""
        self._registry = registry
        self._options = options

    @overload
    def __call__(self, fn: Callable[Concatenate[JobContext, P], Awaitable[R]]) -> JobType[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]]) -> JobType[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[JobContext, P], R]) -> JobType[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R]) -> JobType[P, R]: ...
    def __call__(self, fn: Callable[..., Any]) -> JobType[..., Any]:
        """Register the handler.

        Raises:
            ConfigError: it is no function, its name is taken, or its signature can't be a job's.
        """
        if not callable(fn) or not hasattr(fn, "__qualname__") or isinstance(fn, type):
            raise ConfigError(f"@job(...) decorates a function, got {fn!r:.80}")
        options = dict(self._options)
        name = options.pop("name", None)
        if name is None:
            name = _own_name(fn)
        kind = options.pop("kind", "job")
        if kind in _BULK:
            raise ConfigError(f"job type {name!r}: kind={kind!r} is for @engine.{_BULK[kind]}")
        made: JobType[..., Any] = JobType(fn, name=name, kind=kind, options=options, ids=self._registry.ids)
        self._registry.add(made)
        return made


class JobRegistry:
    """Job types by name, collected in any module and adopted by an engine.

    Attributes:
        types: by name, in the order of registration.
        crons: the cron entries by name, which is that of their job type.
        configured: of the types that a configuration declares, what it says of them.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Make ids by `clock`, the machine's own by default."""
        self.ids = IdSource(clock or SystemClock())
        self.types: dict[str, JobType[..., Any]] = {}
        self.crons: dict[str, CronPlan] = {}
        self.configured: dict[str, JobSettings] = {}

    def job(self, *misplaced: Never, **options: Unpack[TypeOptions]) -> JobDecorator:
        """Register the decorated function as a job type, named `module.function` unless `name` is given.

        Raises:
            ConfigError: the parentheses are missing: it is `@registry.job()`.
        """
        if misplaced:
            raise ConfigError("the decorator takes options by name; without any it is @engine.job()")
        return JobDecorator(self, cast("Mapping[str, Any]", options))

    def add(self, job_type: JobType[..., Any]) -> None:
        """Take a job type in.

        Raises:
            ConfigError: another one of this name is there.
        """
        taken = self.types.get(job_type.name)
        if taken is not None and taken is not job_type:
            raise ConfigError(
                f"two job types are named {job_type.name!r}, {taken.fn.__module__}.{taken.fn.__qualname__} "
                f"and {job_type.fn.__module__}.{job_type.fn.__qualname__}; give one of them name=..."
            )
        self.types[job_type.name] = job_type

    def include(self, other: JobRegistry) -> None:
        """Take in all types and cron entries of another registry.

        Raises:
            ConfigError: a name is taken by another type.
        """
        for job_type in other.types.values():
            self.add(job_type)
        self.crons.update(other.crons)

    def get(self, name: str) -> JobType[..., Any]:
        """The type of this name.

        Raises:
            UnknownJobType: there is none; the message names the nearest.
        """
        try:
            return self.types[name]
        except KeyError:
            raise UnknownJobType(name, self.names()) from None

    def names(self) -> Iterable[str]:
        """All names, in the order of registration."""
        return self.types.keys()


def checked_registry(registry: RegistryT) -> RegistryT:
    """`registry` itself.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(registry, JobRegistry):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"job types are collected in a JobRegistry, got {registry!r:.80}")
    return registry


def _own_name(fn: Callable[..., Any]) -> str:
    name = f"{module_of(fn)}.{fn.__qualname__}".replace(".<locals>", "")
    if not is_name(name):
        raise ConfigError(f"{name!r:.200} can't be the name of a job type; give it one by name=...")
    return name


def module_of(fn: Callable[..., Any]) -> str:
    """Where others import the function from: of a program, the name of its file and not `__main__`."""
    if fn.__module__ not in {"__main__", "__mp_main__"}:
        return fn.__module__
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    return spec.name if spec is not None else Path(file).stem if file else fn.__module__


def takes_context(parameters: list[inspect.Parameter], hints: Mapping[str, Any], owner: str) -> bool:
    """Whether the first parameter is a `JobContext`.

    Raises:
        ConfigError: one further back is, or the first one looks like one without an annotation.
    """
    if not parameters:
        return False
    is_context = [_is_context(hints.get(parameter.name)) for parameter in parameters]
    if any(is_context[1:]):
        raise ConfigError(f"{owner} takes its JobContext further back; make it the first parameter")
    first = parameters[0]
    if first.annotation is inspect.Parameter.empty and first.name in _UNANNOTATED:
        raise ConfigError(
            f"{owner} has a parameter {first.name!r} without an annotation; {_UNANNOTATED[first.name]}"
        )
    return is_context[0]


def _is_context(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, JobContext)
