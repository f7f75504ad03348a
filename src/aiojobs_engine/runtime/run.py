"""One run of one job: the claim, its handler's task, and why it was told to end."""

import asyncio
from enum import Enum

from aiojobs_engine.core.options import Resolved
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.tracing import Attempt
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.registry import JobType

DEADLINES_PER_SECOND = 100
"""The unit in which deadlines are kept: 10 ms."""


class Stop(Enum):
    """Why a run is told to end before its handler returned."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LOST = "lost"
    SHUTDOWN = "shutdown"


class Run:
    """A claimed job in this worker.

    Attributes:
        leased_at: monotonic seconds, taken before the claim or renewal was sent; the lease holds from then.
        stop: why the run was told to end, None while it wasn't.
        was_ahead: it was claimed before there was a slot for it, so the store is told when it begins.
        warnings: how often the handler was told to end.
        is_finalized: its outcome is with the finalizer; whatever the handler still does is nobody's business.
        pausing: somebody asked to pause the job; it stops at its next checkpoint.
        busy: something (a thread that can't be stopped) still uses the slot.
        span: what traces the run, None without.
        began_at, ended_at: monotonic seconds, None before; noted only for observers.
    """

    __slots__ = (
        "began_at",
        "busy",
        "claim",
        "context",
        "deadline",
        "ended_at",
        "is_finalized",
        "job_type",
        "leased_at",
        "options",
        "pausing",
        "span",
        "stop",
        "task",
        "warnings",
        "was_ahead",
    )

    def __init__(
        self, claim: Claim, job_type: JobType[..., object], options: Resolved, leased_at: float
    ) -> None:
        """Belong to `claim`; the context and the task come when it starts."""
        self.claim = claim
        self.job_type = job_type
        self.options = options
        self.leased_at = leased_at
        self.context: JobContext | None = None
        self.task: asyncio.Task[None] | None = None
        self.stop: Stop | None = None
        self.pausing = False
        self.busy: asyncio.Event | None = None
        self.deadline = 0
        self.warnings = 0
        self.was_ahead = False
        self.is_finalized = False
        self.span: Attempt | None = None
        self.began_at: float | None = None
        self.ended_at: float | None = None

    @property
    def ends_at(self) -> float | None:
        """Monotonic seconds at which it is told to end, or told again; None without a deadline."""
        return self.deadline / DEADLINES_PER_SECOND if self.deadline else None

    @property
    def max_attempts(self) -> int:
        """How many attempts its policy allows; 0 where only a function of the user's knows."""
        spec = self.claim.envelope.retry or self.options.retry.spec
        return 0 if self.options.retry.is_custom else spec.max_attempts

    @property
    def timeout(self) -> float:
        """Seconds that the run may take, 0 for any."""
        timeout = self.claim.envelope.timeout
        return self.options.timeout if timeout is None else timeout

    def end(self, reason: Stop) -> None:
        """Cancel the handler for `reason`; the first reason stands, a lost lease overrides it."""
        if self.stop is None or reason is Stop.LOST:
            self.stop = reason
        if self.task is not None:
            self.task.cancel()
