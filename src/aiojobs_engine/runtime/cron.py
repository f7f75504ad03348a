"""`@registry.cron(...)`: a handler that is a job type and a cron entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from aiojobs_engine.core.job import TypeOptions
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.plans import (
    TIMING,
    CronPlan,
    Timing,
    TimingOptions,
    check_order,
    check_repeatable,
    checked_cron_name,
    checked_timing,
)
from aiojobs_engine.runtime.registry import JobDecorator, JobRegistry, JobType

P = ParamSpec("P")
R = TypeVar("R")


class CronOptions(TimingOptions, TypeOptions, total=False):
    """What the decorator takes beside the expression: when it fires, `args`, and the options of the job type.

    Attributes:
        args: the arguments of each fire, by name.
    """

    args: Mapping[str, Any] | None


class CronDecorator:
    """What `@registry.cron(...)` returns: it takes the handler, whose parameters `args` or defaults fill."""

    def __init__(self, registry: JobRegistry, timing: Timing, options: Mapping[str, Any]) -> None:
        """Keep what the handler is to be registered with."""
        self._registry = registry
        self._timing = timing
        self._options = dict(options)
        self._args: Mapping[str, Any] = self._options.pop("args", None) or {}

    @overload
    def __call__(self, fn: Callable[Concatenate[JobContext, P], Awaitable[R]]) -> JobType[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]]) -> JobType[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[JobContext, P], R]) -> JobType[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R]) -> JobType[P, R]: ...
    def __call__(self, fn: Callable[..., Any]) -> JobType[..., Any]:
        """Register the handler as a job type, and the entry under the same name.

        Raises:
            ConfigError: the name is taken or too long, the signature can't be a job's, or the entry waits for
                itself.
            PayloadError: `args` don't fit the handler.
        """
        made: JobType[..., Any] = JobDecorator(self._registry, self._options)(fn)
        name = checked_cron_name(made.name)
        others = {plan.name: plan.timing.depends_on for plan in self._registry.crons.values()}
        check_order(name, {**others, name: self._timing.depends_on})
        payload = made.arguments.encode((), self._args)
        self._registry.crons[name] = CronPlan(name=name, timing=self._timing, type=made.name, payload=payload)
        return made


def cron(registry: JobRegistry, expression: str, options: Mapping[str, Any]) -> CronDecorator:
    """The decorator that registers a handler and an entry in `registry`.

    Raises:
        ConfigError: the expression or an option is wrong.
    """
    given = dict(options)
    timing = checked_timing(expression, {name: given.pop(name) for name in TIMING & given.keys()})
    check_repeatable(given, "a cron entry")
    return CronDecorator(registry, timing, given)
