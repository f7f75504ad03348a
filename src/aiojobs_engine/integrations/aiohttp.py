"""Live events in aiohttp: `app.router.add_get("/live", live(engine, authorize))`."""

import asyncio
from collections.abc import Awaitable, Callable

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.engine import Engine
from aiojobs_engine.events.listeners.broadcast import Client, Driver
from aiojobs_engine.integrations.live import SEND, SSE_HEADERS, Authorize, Live, Refused, messages, sse_chunks
from aiojobs_engine.net.deadline import within
from aiojobs_engine.ports.clock import Clock

try:
    from aiohttp import web
except ImportError as error:
    raise ConfigError("this needs aiohttp: pip install aiohttp") from error

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def live(engine: Engine, authorize: Authorize, *, driver: Driver | None = None) -> Handler:
    """A handler that shows what happens, as server-sent events and over WebSockets.

    `?channel=job:ID&channel=user:ID` chooses, `all` without; `Last-Event-ID`, as a header or as the query's
    `last_event_id`, goes on behind an event. The engine must be open while it serves.

    Args:
        authorize: asked for each channel with the `Request`; only True lets the client follow it.
        driver: where events come from instead of the engine's store.

    Raises:
        ConfigError: `authorize` is no function.
    """
    shown = Live(engine, authorize, driver)

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            channels = await shown.channels(request, request.query.getall("channel", []))
            hub = shown.checked_hub()
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.why)
        last_id = request.headers.get("last-event-id") or request.query.get("last_event_id")
        async with hub.connected(channels, last_id) as client:
            if request.headers.get("upgrade", "").lower() == "websocket":
                return await _websocket(request, client, engine.clock)
            return await _sse(request, client, engine.clock)

    return handler


async def _sse(request: web.Request, client: Client, clock: Clock) -> web.StreamResponse:
    response = web.StreamResponse(headers=SSE_HEADERS)
    await response.prepare(request)
    try:
        async for chunk in sse_chunks(client):
            async with within(clock, SEND):
                await response.write(chunk)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return response


async def _websocket(request: web.Request, client: Client, clock: Clock) -> web.StreamResponse:
    socket = web.WebSocketResponse(heartbeat=SEND)
    await socket.prepare(request)
    listening = asyncio.get_running_loop().create_task(_listen(socket, client))
    try:
        async for text in messages(client):
            async with within(clock, SEND):
                await socket.send_str(text)
        await socket.close()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        listening.cancel()
        await asyncio.wait([listening])
    return socket


async def _listen(socket: web.WebSocketResponse, client: Client) -> None:
    """Pass over what clients say, until they hang up."""
    async for _ in socket:
        pass
    client.close()
