"""`event` jobs: something that happened in the application, told to all who listen for it."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread

from aiojobs_engine.core.errors import ConfigError, Discard, EngineError
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.runtime.registry import JobRegistry

ListenerT = TypeVar("ListenerT", bound=Callable[[dict[str, Any]], Any])


class ListenerRefused(EngineError):
    """A listener answered False, so the event counts as not handled."""


class Happenings:
    """Durable events by name: dispatched like any job, they fire on the listeners that the code registered.

    The job succeeds when all listeners did. One that raises, or answers False, fails the attempt; the next
    one calls all listeners again, so they must bear to hear of an event twice.

    Attributes:
        registry: holds the job type; `engine.include(happenings.registry)` turns it on.
    """

    def __init__(self, *, name: str = "event") -> None:
        """Nobody listens yet; `name` is that of the job type."""
        self.registry = JobRegistry()
        self._listeners: dict[str, list[Callable[[dict[str, Any]], Any]]] = {}

        async def fire(event: str, data: dict[str, Any] | None = None) -> int:
            return await self._fire(event, data or {})

        self.registry.job(name=name)(fire)

    def on(self, event: str) -> Callable[[ListenerT], ListenerT]:
        """Call the decorated function with the data of each `event`; a plain one runs in a thread.

        Raises:
            ConfigError: it is no name, or no function is decorated.
        """
        checked_name(event, "an event")

        def register(listener: ListenerT) -> ListenerT:
            if not callable(listener):
                raise ConfigError(f"on(...) decorates a function, got {listener!r:.80}")
            self._listeners.setdefault(event, []).append(listener)
            return listener

        return register

    async def _fire(self, event: str, data: dict[str, Any]) -> int:
        listeners = self._listeners.get(event, [])
        if not listeners:
            raise Discard(f"nobody listens for the event {event!r:.80}")
        answers = await asyncio.gather(*[_told(each, data) for each in listeners], return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup(f"{len(errors)} listeners of {event!r} failed", errors)
        return len(listeners)


async def _told(listener: Callable[[dict[str, Any]], Any], data: dict[str, Any]) -> None:
    if inspect.iscoroutinefunction(listener):
        answer = await listener(dict(data))
    else:
        answer = await anyio.to_thread.run_sync(listener, dict(data))
    if answer is False:
        raise ListenerRefused(f"{getattr(listener, '__qualname__', listener)} answered False")
