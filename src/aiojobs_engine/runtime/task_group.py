"""Tasks that somebody owns: the bounded group of running jobs, and the agents around it.

Plain asyncio tasks, because a job needs its own context, its own cancellation and its own `current_task()`,
at a tenth of what a task of a nested cancel scope costs; and because an engine is opened and closed by
different tasks in the fixtures of its users, which scopes forbid.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiojobs_engine.ports.clock import Clock

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_SICK_AFTER = 5


def start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task that the caller keeps and ends; the loop itself holds tasks only weakly."""
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def join(task: asyncio.Task[Any]) -> None:
    """Return when `task` has ended, however it ended; cancelling the caller doesn't cancel `task`."""
    if not task.done():
        await asyncio.wait([task])


class AgentGroup:
    """Loops that live as long as their owner, each started again when it raises.

    An agent that fails five times in a row makes the group sick until it succeeds or is stopped.

    Attributes:
        failures: agents by name, with how often in a row they failed.
    """

    def __init__(self, clock: Clock) -> None:
        """Pause between restarts on `clock`."""
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, int] = {}

    @property
    def is_sick(self) -> bool:
        """Whether an agent can't stay up."""
        return any(count >= _SICK_AFTER for count in self.failures.values())

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run` until it returns; when it raises, again after 0.1 s, doubling up to 5 s.

        `run` is one life of the loop; `alive(name)` tells that a turn of it went well.
        """
        self._tasks[name] = start(self._keep(name, run), f"aiojobs:{name}")

    def alive(self, name: str) -> None:
        """Forget the failures of an agent: it does its work again."""
        self.failures.pop(name, None)

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
            except Exception:
                count = self.failures[name] = self.failures.get(name, 0) + 1
                pause = min(_FIRST_PAUSE * 2 ** (count - 1), _LONGEST_PAUSE)
                level = logging.WARNING if count < _SICK_AFTER else logging.ERROR
                logger.log(
                    level, "%s failed %d times in a row, again in %.1f s", name, count, pause, exc_info=True
                )
                await self._clock.sleep(pause)
            else:
                return
