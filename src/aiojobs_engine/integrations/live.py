"""What the web frameworks share that show front ends what happens: channels, access, frames, deadlines."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from aiojobs_engine.core.errors import BackendError, ConfigError
from aiojobs_engine.engine import Engine
from aiojobs_engine.events.listeners.broadcast import (
    ALL,
    MOST_CHANNELS,
    Channel,
    Client,
    Driver,
    Hub,
    channel_of,
    sse_of,
    text_of,
)
from aiojobs_engine.events.shared import SharedStream

logger = logging.getLogger(__name__)

PING = 15.0
"""Seconds after which a client that nothing came for gets a sign of life."""

SEND = 30.0
"""Seconds that a client may take to accept what is sent; then it is closed."""

SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}

Authorize = Callable[[Any, Channel], bool | Awaitable[bool]]
"""Whether who asks by this request may follow a channel. Nobody may but for whom it answers True."""


class Refused(Exception):
    """A request that is not served: an HTTP status, and why."""

    def __init__(self, status: int, why: str) -> None:
        """Keep both."""
        self.status = status
        self.why = why
        super().__init__(why)


class Live:
    """The hub of an engine, made when the first client comes, and access to it."""

    def __init__(self, engine: Engine, authorize: Authorize, driver: Driver | None) -> None:
        """Show what `engine` does to whom `authorize` lets.

        Raises:
            ConfigError: `authorize` is no function.
        """
        if not callable(authorize):
            raise ConfigError(
                f"authorize= takes a function of a request and a channel, got {authorize!r:.80}"
            )
        self.engine = engine
        self._authorize = authorize
        self._driver = driver
        self._hub: Hub | None = None
        self._store: object = None

    def hub(self) -> Hub:
        """The hub.

        Raises:
            BackendClosed: the engine is not open.
        """
        store = self.engine.store
        if self._hub is None or self._store is not store:
            driver = self._driver or SharedStream(store)
            self._hub = Hub(driver, self.engine.clock, self.engine.settings)
            self._store = store
        return self._hub

    async def channels(self, request: object, named: Sequence[str]) -> list[Channel]:
        """The channels that a request names, `all` without one.

        Raises:
            Refused: one is none, there are too many, or the request may not follow one.
        """
        if len(named) > MOST_CHANNELS:
            raise Refused(400, f"a client follows at most {MOST_CHANNELS} channels")
        try:
            channels = [channel_of(name) for name in named or [ALL]]
        except ConfigError as error:
            raise Refused(400, str(error)) from error
        for channel in channels:
            allowed = self._authorize(request, channel)
            if (await allowed if inspect.isawaitable(allowed) else allowed) is not True:
                raise Refused(403, "this channel is not yours to follow")
        return channels

    def checked_hub(self) -> Hub:
        """The hub, for a request.

        Raises:
            Refused: the engine is not open.
        """
        try:
            return self.hub()
        except (BackendError, ConfigError) as error:
            logger.warning("the live events can't be served: %s", error)
            raise Refused(503, "the events can't be read now") from error


async def sse_chunks(client: Client) -> AsyncIterator[bytes]:
    """What a server-sent events response brings, until the client is closed."""
    yield b"retry: 2000\n\n"
    while not client.is_closed:
        frames = await client.next(PING)
        if not client.is_closed:
            yield b"".join(map(sse_of, frames)) or b": ping\n\n"


async def messages(client: Client) -> AsyncIterator[str]:
    """What a WebSocket brings, until the client is closed; the protocol itself gives signs of life."""
    while not client.is_closed:
        for frame in await client.next(PING):
            yield text_of(frame)
