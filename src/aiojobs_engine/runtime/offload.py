"""Plain functions: in threads, or in processes of their own."""

import asyncio
import contextlib
import functools
import importlib
import pickle
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, ParamSpec, Protocol, cast

import anyio.from_thread
import anyio.to_process
import anyio.to_thread
from anyio import BrokenWorkerProcess, CapacityLimiter, NoEventLoopError

from aiojobs_engine.core.codec import CarriedResult, ResultCodec
from aiojobs_engine.core.errors import ConfigError

P = ParamSpec("P")


def in_its_place(
    call: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
) -> Awaitable[None]:
    """`call(...)` to be awaited in the loop; called in the thread of a plain function, it is done at once.

    Raises:
        ConfigError: it is neither, but a thread of somebody else's.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return call(*args, **kwargs)
    try:
        anyio.from_thread.run(functools.partial(call, *args, **kwargs))
    except NoEventLoopError as error:
        raise ConfigError(
            "ctx.progress and ctx.checkpoint work in the loop, or in the thread that runs the handler"
        ) from error
    return _DONE


class _Done:
    """Awaited, it is over."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


_DONE = _Done()


class ChildDied(Exception):
    """The process that ran the function ended without an answer."""


class Offload:
    """Runs plain functions beside the loop; at most as many at once as the worker has slots."""

    def __init__(self, slots: int) -> None:
        """Bound threads and processes by `slots`."""
        self._threads = CapacityLimiter(slots)
        self._processes = CapacityLimiter(slots)

    async def in_thread(self, call: Callable[[], Any], ended: asyncio.Event) -> Any:
        """The function's value. Cancelling returns at once; `ended` is set when no thread runs it."""
        thread = _ThreadCall(call, asyncio.get_running_loop(), ended)
        try:
            return await anyio.to_thread.run_sync(thread.run, abandon_on_cancel=True, limiter=self._threads)
        except BaseException:  # cancelled, or no thread could be started
            thread.abandon()
            raise

    async def in_process(
        self, fn: Callable[..., Any], payload: bytes, around: AbstractContextManager[None] | None = None
    ) -> CarriedResult:
        """The function's value, encoded. Cancelling kills the process. `around` is pickled and entered there.

        Raises:
            ChildDied: the process ended without an answer.
        """
        call = functools.partial(_in_child, fn.__module__, fn.__qualname__, payload, around)
        try:
            return await anyio.to_process.run_sync(call, cancellable=True, limiter=self._processes)
        except BrokenWorkerProcess as error:
            if (reason := _refused_to_load(error)) is not None:
                raise reason from error.__cause__
            raise ChildDied(f"the process that ran {fn.__qualname__} ended without an answer") from error


def check_main() -> None:
    """Nothing, where an engine may be opened.

    Raises:
        ConfigError: this is a process for a job. It loads the program's script to find the function, and that
            starts its work instead.
    """
    if "__main__" not in sys.modules:  # only while such a process loads the script, as `__mp_main__`
        raise ConfigError(
            "a process for a job loads this program anew to find the function, and the program starts its "
            "work instead; put its start under `if __name__ == '__main__':`"
        )


def _refused_to_load(error: BrokenWorkerProcess) -> ConfigError | None:
    """What the program raised when the process loaded it anew; None when the process just ended.

    Only what it raised comes with a text here; a process that is slow to start has one too, and is no fault
    of the program's.
    """
    cause = error.__cause__
    if isinstance(cause, ConfigError):
        return cause
    if not error.args or cause is None or isinstance(cause, TimeoutError):
        return None
    return ConfigError(
        f"a process for a job loads this program anew to find the function, and that raised "
        f"{type(cause).__name__}: {cause}; put what only the program does under `if __name__ == '__main__':`"
    )


class _ThreadCall:
    """A call that runs, or is abandoned before a thread got to it, but never both."""

    def __init__(
        self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop, ended: asyncio.Event
    ) -> None:
        self._call = call
        self._loop = loop
        self._ended = ended
        self._lock = Lock()
        self._is_taken = False

    def run(self) -> Any:
        if not self._take():
            return None
        try:
            return self._call()
        finally:
            with contextlib.suppress(RuntimeError):  # the loop may be closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._ended.set)

    def abandon(self) -> None:
        if self._take():
            self._ended.set()

    def _take(self) -> bool:
        with self._lock:
            was_taken, self._is_taken = self._is_taken, True
        return not was_taken


def _in_child(
    module: str, qualname: str, payload: bytes, around: AbstractContextManager[None] | None
) -> CarriedResult:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    job_type = cast("_PlainType", found)
    try:
        with around or contextlib.nullcontext():
            value = job_type.call_plain(payload)
    except BaseException as error:
        if _can_leave(error):
            raise
        raise LeftBehind(error) from None
    return job_type.results.carry(value)


def _can_leave(error: BaseException) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    except Exception:  # noqa: BLE001 - whatever it is, it can't
        return False
    return True


class LeftBehind(Exception):
    """An exception that could not leave the process of its function; the text is its own."""

    def __init__(self, error: BaseException | str) -> None:
        """Keep the class and the text of `error`."""
        super().__init__(error if isinstance(error, str) else f"{type(error).__qualname__}: {error}")


class _PlainType(Protocol):
    """The part of a job type that the child uses: what it finds under the handler's name."""

    @property
    def results(self) -> ResultCodec:
        """The codec of what the function returns."""
        ...

    def call_plain(self, payload: bytes) -> Any:
        """Call the function on encoded arguments."""
        ...
