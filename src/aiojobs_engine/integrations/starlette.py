"""Live events in Starlette and FastAPI: `Mount("/live", live(engine, authorize))`."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from anyio import create_task_group

from aiojobs_engine.core.errors import BackendError, ConfigError
from aiojobs_engine.engine import Engine
from aiojobs_engine.events.listeners.broadcast import Channel, Client, Driver
from aiojobs_engine.integrations.live import SEND, SSE_HEADERS, Authorize, Live, Refused, messages, sse_chunks
from aiojobs_engine.net.deadline import within

try:
    from starlette.requests import HTTPConnection
except ImportError as error:
    raise ConfigError("this needs Starlette: pip install 'aiojobs-engine[web]'") from error

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY = 1008
_AWAY = 1001
_RECEIVED = "websocket.disconnect"


def live(engine: Engine, authorize: Authorize, *, driver: Driver | None = None) -> App:
    """An ASGI app that shows what happens, as server-sent events and over WebSockets.

    `?channel=job:ID&channel=user:ID` chooses, `all` without; `Last-Event-ID`, as a header or as the query's
    `last_event_id`, goes on behind an event. The engine must be open while it serves.

    Args:
        authorize: asked for each channel with the `HTTPConnection`; only True lets the client follow it.
        driver: where events come from instead of the engine's store.

    Raises:
        ConfigError: `authorize` is no function.
    """
    shown = Live(engine, authorize, driver)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        serve = _serve_websocket if scope["type"] == "websocket" else _serve_sse
        try:
            client_of = await _admitted(shown, scope)
        except Refused as refused:
            await _refuse(scope, send, refused)
            return
        await serve(shown, client_of, receive, send)

    return app


Admitted = tuple[list[Channel], str | None]


async def _admitted(shown: Live, scope: Scope) -> Admitted:
    if scope["type"] == "http" and scope["method"] != "GET":
        raise Refused(405, "live events are there to GET")
    request = HTTPConnection(scope)
    channels = await shown.channels(request, request.query_params.getlist("channel"))
    shown.checked_hub()
    last_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    return channels, last_id


async def _serve_sse(shown: Live, admitted: Admitted, receive: Receive, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in SSE_HEADERS.items()]

    async def bring(client: Client) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in sse_chunks(client):
            async with within(shown.engine.clock, SEND):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    await _while_connected(shown, admitted, receive, bring, "http.disconnect")


async def _serve_websocket(shown: Live, admitted: Admitted, receive: Receive, send: Send) -> None:
    await receive()

    async def bring(client: Client) -> None:
        await send({"type": "websocket.accept"})
        async for text in messages(client):
            async with within(shown.engine.clock, SEND):
                await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close", "code": _AWAY})

    await _while_connected(shown, admitted, receive, bring, _RECEIVED)


async def _while_connected(
    shown: Live,
    admitted: Admitted,
    receive: Receive,
    bring: Callable[[Client], Awaitable[None]],
    ending: str,
) -> None:
    """Bring events until the client hangs up, or takes too long to accept them."""
    channels, last_id = admitted
    try:
        async with shown.hub().connected(channels, last_id) as client, create_task_group() as group:

            async def listen() -> None:
                while (await receive())["type"] != ending:
                    pass
                group.cancel_scope.cancel()

            group.start_soon(listen)
            await bring(client)
            group.cancel_scope.cancel()
    except* (TimeoutError, BackendError, OSError) as errors:
        raise ConnectionError("the client of live events is gone, or the store is") from errors


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY, "reason": refused.why[:100]})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": refused.why.encode()})
