"""Tasks that somebody owns: the bounded group of running jobs, and the agents around it.

Plain asyncio tasks, because a job needs its own context, its own cancellation and its own `current_task()`,
at a tenth of what a task of a nested cancel scope costs; and because an engine is opened and closed by
different tasks in the fixtures of its users, which scopes forbid.
"""

import asyncio
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiojobs_engine.core.errors import BackendFull, BackendUnavailable
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.outage import Outage

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_SICK_AFTER = 5
_LATELY = 60.0


def start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task that the caller keeps and ends; the loop itself holds tasks only weakly."""
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def join(task: asyncio.Task[Any]) -> None:
    """Return when `task` has ended, however it ended; cancelling the caller doesn't cancel `task`."""
    if not task.done():
        await asyncio.wait([task])


class AgentGroup:
    """Loops that live as long as their owner, each started again when it raises.

    An agent that fails five times within a minute makes the group sick, until it has failed less in the last
    minute.

    Attributes:
        failures: how often each agent failed so far, by name.
    """

    def __init__(self, clock: Clock, outage: Outage) -> None:
        """Pause between restarts on `clock`; a store that is away is told of by `outage`."""
        self._clock = clock
        self._outage = outage
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed_at: defaultdict[str, deque[float]] = defaultdict(deque)
        self.failures: Counter[str] = Counter()

    @property
    def is_sick(self) -> bool:
        """Whether an agent can't stay up."""
        return any(self._lately(name) >= _SICK_AFTER for name in self.failures)

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run` until it returns; when it raises, again after 0.1 s, doubling up to 5 s.

        The pauses begin anew when a minute went well.
        """
        self._tasks[name] = start(self._keep(name, run), f"aiojobs:{name}")

    async def stop(self, name: str) -> None:
        """Cancel one agent and wait for its end; unknown names are fine."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await join(task)

    async def stop_all(self) -> None:
        """Cancel all agents, the newest first, and wait for their end."""
        for name in reversed(list(self._tasks)):
            await self.stop(name)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - logged below, or by the outage
                self.failures[name] += 1
                self._failed_at[name].append(self._clock.monotonic())
                count = self._lately(name)
                pause = min(_FIRST_PAUSE * 2 ** (count - 1), _LONGEST_PAUSE)
                self._report(name, error, count, pause)
                await self._clock.sleep(pause)
            else:
                return

    def _report(self, name: str, error: Exception, count: int, pause: float) -> None:
        if isinstance(error, BackendUnavailable | BackendFull):
            self._outage.note(error)
            return
        level = logging.WARNING if count < _SICK_AFTER else logging.ERROR
        message = "%s failed %d times in a minute, again in %.1f s"
        logger.log(level, message, name, count, pause, exc_info=error)

    def _lately(self, name: str) -> int:
        failed_at = self._failed_at[name]
        while failed_at and self._clock.monotonic() - failed_at[0] > _LATELY:
            failed_at.popleft()
        return len(failed_at)
