"""The bounded group of running jobs: a task per job, at most `limit` of them."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.runtime.pace import Ahead, Pace
from aiojobs_engine.runtime.run import Run

Coroutines = Callable[[Run], Coroutine[Any, Any, None]]


class Slots:
    """Runs by lease; a slot is free again when its run's handler has really ended or was given up.

    Attributes:
        limit: how many runs at once.
        runs: those that are under way, by job id and token.
        ahead: those that wait for a slot; while any waits, none is free.
        stuck: runs that were given up because they ignored every cancel.
    """

    def __init__(
        self, clock: Clock, limit: int, *, run: Coroutines, hand_back: Callable[[Run], None]
    ) -> None:
        """Have `limit` slots, at least 1, for what `run` makes; see `Ahead` for `hand_back`."""
        self.limit = limit
        self.runs: dict[tuple[str, int], Run] = {}
        self.ahead = Ahead(clock, hand_back)
        self.stuck = 0
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pace = Pace(clock)
        self._begun: list[Run] = []
        self._has_begun = Wake(clock)
        self._freed = Wake(clock)
        self._emptied = Wake(clock)
        self._on_empty: Callable[[], object] | None = None
        self._abandoned: set[asyncio.Task[None]] = set()
        self._context: Context | None = None

    @property
    def free(self) -> int:
        """How many more runs may start now."""
        return self.limit - len(self.runs)

    @property
    def room(self) -> int:
        """How many more jobs may be claimed now: free slots, and what may be claimed ahead."""
        allowance = self._pace.allowance()
        room = self.free + allowance - len(self.ahead)
        return room if room > allowance // 2 else 0

    def start(self, run: Run) -> None:
        """Give `run` a slot and a task of its own, or let it wait for one."""
        if len(self.runs) < self.limit:
            self._start(run)
        else:
            self.ahead.add(run)

    def release(self, run: Run) -> None:
        """Take the slot back, for the next one that waits; repeating it is fine."""
        lease = run.claim.lease
        if self.runs.pop((lease.job_id, lease.token), None) is None:
            return
        self._pace.count()
        waiting = self.ahead.take()
        if waiting is not None:
            self._start(waiting)
        elif not self.runs:
            self._emptied.set()
            if self._on_empty is not None:
                self._on_empty()
        self._freed.set()

    def give_up(self, run: Run) -> None:
        """Free the slot of a run whose task doesn't end; the task is kept until it does."""
        self.stuck += 1
        task = run.task
        if task is not None and not task.done():
            self._abandoned.add(task)
            task.add_done_callback(self._abandoned.discard)
        self.release(run)

    async def wait_begun(self) -> None:
        """Return when a run that was claimed ahead has begun."""
        await self._has_begun.wait()

    def take_begun(self) -> list[Run]:
        """Those that were claimed ahead, have begun since the last call, and are still under way."""
        begun, self._begun = self._begun, []
        return [run for run in begun if not run.is_finalized]

    async def wait_free(self) -> None:
        """Return when a slot may have become free."""
        await self._freed.wait()

    def when_empty(self, call: Callable[[], object] | None) -> None:
        """Call `call`, and nobody else, each time that the last run ends; None calls nobody."""
        self._on_empty = call

    async def wait_empty(self, seconds: float | None = None) -> bool:
        """Whether no run is under way, at once or within `seconds`."""
        while self.runs:
            if not await self._emptied.wait(seconds):
                return not self.runs
        return True

    def _start(self, run: Run) -> None:
        lease = run.claim.lease
        self.runs[lease.job_id, lease.token] = run
        if self._loop is None or self._context is None:  # kept, for asking costs a system call
            self._loop, self._context = asyncio.get_running_loop(), copy_context()
        # not the context of here: that may be of the run whose slot this one takes
        # the name is at hand, where asyncio would make one up
        run.task = self._loop.create_task(self._run(run), name=lease.job_id, context=self._context.copy())
        if run.was_ahead:
            self._begun.append(run)
            self._has_begun.set()
