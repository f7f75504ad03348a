"""`command` jobs: functions of the application, called by the names that it gave them."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from aiojobs_engine.core.codec import encode_json
from aiojobs_engine.core.errors import ConfigError, Discard, PayloadError
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.registry import JobRegistry, JobType

Command: TypeAlias = Callable[..., Any]


def commands(functions: Mapping[str, Command], *, name: str = "command") -> JobRegistry:
    """A job type that calls one of `functions` by its name: `engine.dispatch("command", command="clean")`.

    Its arguments are `command`, one of the names, and `arguments`, an object that has to fit that function. A
    wrong name is refused at the dispatch; wrong arguments discard the job when it runs.

    Args:
        functions: what may be called, plain or async. Plain ones run in a thread.
        name: that of the job type.

    Raises:
        ConfigError: there is no function, or one can't be a job's.
    """
    if not functions:
        raise ConfigError("commands need at least one function to call")
    registry = JobRegistry()
    known: dict[str, JobType[..., Any]] = {
        checked_name(key, "a command"): JobType(
            function, name=f"{name}.{key}", kind="job", options={}, ids=registry.ids
        )
        for key, function in functions.items()
    }

    async def run(ctx: JobContext, command: str, arguments: dict[str, Any] | None = None) -> Any:
        called = known[command]
        try:
            values = called.arguments.decode(encode_json(arguments or {}, called.name))
        except PayloadError as error:
            raise Discard(str(error)) from error
        return await called.invoke(ctx, values)

    run.__annotations__["command"] = Literal[tuple(known)]
    registry.job(name=name)(run)
    return registry
