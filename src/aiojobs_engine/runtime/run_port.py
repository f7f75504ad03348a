"""What the context of a run needs from the worker around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import Logger
from typing import TYPE_CHECKING, Any, Protocol

from aiojobs_engine.core.codec import CarriedResult
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.backend import Claim, Record
from aiojobs_engine.ports.storage import Storages

if TYPE_CHECKING:
    from aiojobs_engine.runtime.context import JobContext, Middleware


class RunPort(Protocol):
    """What a context needs from the worker around it."""

    @property
    def logger(self) -> Logger:
        """Where handlers log to."""
        ...

    @property
    def resources(self) -> Any:
        """What the engine's resources yielded."""
        ...

    @property
    def engine(self) -> Any:
        """The engine itself."""
        ...

    @property
    def storage(self) -> Storages:
        """Where the rows of bulk jobs lie."""
        ...

    @property
    def settings(self) -> Settings:
        """The configuration of the engine."""
        ...

    def now(self) -> Instant:
        """The wall clock, ms since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds, for durations."""
        ...

    async def record(self, record: Record) -> None:
        """Write under the lease.

        Raises:
            LeaseLostError: another worker holds the job.
        """
        ...

    @property
    def middleware(self) -> Sequence[Middleware]:
        """What wraps handlers, the outermost first."""
        ...

    async def in_thread(self, context: JobContext, call: Callable[[], Any]) -> Any:
        """Call a plain function in a thread; the slot stays taken until the thread ends."""
        ...

    async def in_process(self, fn: Callable[..., Any], payload: bytes) -> CarriedResult:
        """Call a plain function, found by its name, on encoded arguments in a process."""
        ...

    def touch(self, claim: Claim) -> None:
        """Start the deadline of a bulk or iterable job anew."""
        ...
