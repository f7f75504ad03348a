"""The bounded group of running jobs: a task per job, at most `limit` of them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.runtime.run import Run


class Slots:
    """Runs by lease; a slot is free again when its run's handler has really ended or was given up.

    Attributes:
        limit: how many runs at once.
        runs: those that are under way, by job id and token.
        stuck: runs that were given up because they ignored every cancel.
    """

    def __init__(self, clock: Clock, limit: int) -> None:
        """Have `limit` slots, at least 1."""
        self.limit = limit
        self.runs: dict[tuple[str, int], Run] = {}
        self.stuck = 0
        self._freed = Wake(clock)
        self._emptied = Wake(clock)
        self._abandoned: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> int:
        """How many more runs may start now."""
        return self.limit - len(self.runs)

    def start(self, run: Run, coroutine: Coroutine[Any, Any, None]) -> None:
        """Give `run` a slot and a task of its own."""
        lease = run.claim.lease
        self.runs[lease.job_id, lease.token] = run
        run.task = asyncio.get_running_loop().create_task(coroutine)

    def release(self, run: Run) -> None:
        """Take the slot back; repeating it is fine."""
        lease = run.claim.lease
        if self.runs.pop((lease.job_id, lease.token), None) is None:
            return
        self._freed.set()
        if not self.runs:
            self._emptied.set()

    def give_up(self, run: Run) -> None:
        """Free the slot of a run whose task doesn't end; the task is kept until it does."""
        self.stuck += 1
        task = run.task
        if task is not None and not task.done():
            self._abandoned.add(task)
            task.add_done_callback(self._abandoned.discard)
        self.release(run)

    async def wait_free(self) -> None:
        """Return when a slot may have become free."""
        await self._freed.wait()

    async def wait_empty(self, seconds: float | None = None) -> bool:
        """Whether no run is under way, at once or within `seconds`."""
        while self.runs:
            if not await self._emptied.wait(seconds):
                return not self.runs
        return True
