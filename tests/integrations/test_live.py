"""Live events in Starlette and aiohttp: who may follow what, from where, and who is closed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from aiojobs_engine import ConfigError, Engine
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.events.listeners.broadcast import Channel
from aiojobs_engine.integrations import aiohttp as for_aiohttp
from aiojobs_engine.integrations import starlette as for_starlette
from aiojobs_engine.integrations.live import PING, SEND
from aiojobs_engine.testing import ManualClock


def made(clock: ManualClock | None = None) -> tuple[Engine, Any]:
    clock = clock or ManualClock()
    engine = Engine(backend=MemoryBackend(clock=clock), clock=clock)

    @engine.job(name="work")
    async def work() -> None: ...

    return engine, work


async def own(request: HTTPConnection | web.Request, channel: Channel) -> bool:
    """Everybody follows jobs; users their own."""
    return channel.kind == "job" or channel == Channel("user", request.headers.get("x-user", ""))


def everybody(request: object, channel: Channel) -> bool:
    return True


class Conversation:
    """An ASGI call whose both ends the test holds."""

    def __init__(self, app: Any, scope: dict[str, Any]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.stuck = False
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task = asyncio.get_running_loop().create_task(app(scope, self._to_app.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.sent.append(message)

    def say(self, kind: str) -> None:
        self._to_app.put_nowait({"type": kind})

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def causes(self) -> list[str]:
        lines = [line.removeprefix("data: ") for line in self.body.splitlines() if line.startswith("data: ")]
        return [json.loads(line)["cause"] for line in lines]


def scope(query: str = "", kind: str = "http", method: str = "GET", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    base = {"type": kind, "path": "/", "query_string": query.encode(), "headers": raw}
    return base | ({"method": method} if kind == "http" else {})


@asynccontextmanager
async def called(app: Any, given: dict[str, Any]) -> AsyncGenerator[Conversation]:
    conversation = Conversation(app, given)
    try:
        yield conversation
    finally:
        conversation.task.cancel()
        await asyncio.wait([conversation.task])


async def test_a_browser_is_brought_what_happens_and_goes_on_where_it_was() -> None:
    clock = ManualClock()
    engine, work = made(clock)
    async with engine:
        app = for_starlette.live(engine, everybody)
        handle = await engine.dispatch(work)
        async with called(app, scope(f"channel=job:{handle.id}")) as first:
            await clock.rest()
            await engine.jobs.cancel(handle.id)
            await engine.dispatch(work)
            await clock.rest()
            assert first.sent[0]["status"] == 200
            assert dict(first.sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
            assert first.body.startswith("retry: 2000\n\n")
            assert first.causes == ["JobCancelled"]
        oldest = await first_id(engine)
        async with called(app, scope(last_event_id=oldest)) as again:
            await clock.rest()
            assert again.causes == ["JobCancelled", "JobCreated"]
            await clock.advance(PING)
            assert again.body.endswith(": ping\n\n")
            again.say("http.disconnect")
            await clock.rest()
            assert again.task.done()


async def first_id(engine: Engine) -> str:
    events, _ = await engine.store.read(None, 1)
    return events[0].event_id


async def test_websockets_are_brought_the_same() -> None:
    clock = ManualClock()
    engine, work = made(clock)
    async with engine, called(for_starlette.live(engine, everybody), scope(kind="websocket")) as conversation:
        conversation.say("websocket.connect")
        await clock.rest()
        handle = await engine.dispatch(work)
        await clock.rest()
        assert conversation.sent[0] == {"type": "websocket.accept"}
        told = json.loads(conversation.sent[1]["text"])
        assert (told["event"], told["data"]["job_id"]) == ("JobStatusUpdated", handle.id)
        conversation.say("websocket.receive")
        conversation.say("websocket.disconnect")
        await clock.rest()
        assert conversation.task.done()


@pytest.mark.case("E10")
@pytest.mark.parametrize(
    "query, status",
    [
        ("", 403),
        ("channel=all", 403),
        ("channel=user:bob", 403),
        ("channel=user:ann&channel=user:bob", 403),
        ("channel=job:x&channel=nonsense", 400),
        ("channel=job:", 400),
        ("&".join(f"channel=job:{number}" for number in range(101)), 400),
    ],
)
async def test_who_may_not_follow_a_channel_gets_nothing(query: str, status: int) -> None:
    engine, _ = made()
    async with engine:
        app = for_starlette.live(engine, own)
        conversation = Conversation(app, scope(query, x_user="ann"))
        await conversation.task
        assert conversation.sent[0]["status"] == status

        socket = Conversation(app, scope(query, kind="websocket", x_user="ann"))
        socket.say("websocket.connect")
        await socket.task
        assert [message["type"] for message in socket.sent] == ["websocket.close"]

        async with _client(engine, own) as client:
            assert (await client.get(f"/live?{query}", headers={"x-user": "ann"})).status == status


@pytest.mark.parametrize("answer", [None, "yes", 1, {}])
async def test_only_true_lets_a_client_follow(answer: Any) -> None:
    engine, _ = made()
    async with engine:
        conversation = Conversation(for_starlette.live(engine, lambda _, __: answer), scope())
        await conversation.task

    assert conversation.sent[0]["status"] == 403


async def test_only_get_is_served_and_only_while_the_engine_is_open() -> None:
    engine, _ = made()
    app = for_starlette.live(engine, everybody)
    closed = Conversation(app, scope())
    await closed.task
    async with engine:
        posted = Conversation(app, scope(method="POST"))
        await posted.task
        lifespan = Conversation(app, {"type": "lifespan"})
        await lifespan.task

    assert (closed.sent[0]["status"], posted.sent[0]["status"], lifespan.sent) == (503, 405, [])


@pytest.mark.case("E9")
async def test_a_client_that_does_not_read_is_closed() -> None:
    clock = ManualClock()
    engine, work = made(clock)
    async with engine:
        conversation = Conversation(for_starlette.live(engine, everybody), scope())
        await clock.rest()
        conversation.stuck = True
        await engine.dispatch(work)
        await clock.rest()
        await clock.advance(SEND - 1)
        assert not conversation.task.done()
        await clock.advance(2)
        with pytest.raises(ConnectionError, match="gone"):
            await conversation.task


async def test_it_can_be_mounted_in_an_application() -> None:
    clock = ManualClock()
    engine, work = made(clock)
    app = Starlette(routes=[Mount("/live", for_starlette.live(engine, own))])
    async with (
        engine,
        called(app, scope("channel=user:ann", x_user="ann") | {"path": "/live/"}) as conversation,
    ):
        await clock.rest()
        await engine.dispatch(work.options(user_id="bob"))
        await engine.dispatch(work.options(user_id="ann"))
        await clock.rest()
        assert conversation.causes == ["JobCreated"]


def test_access_is_not_to_be_forgotten() -> None:
    engine, _ = made()

    for live in (for_starlette.live, for_aiohttp.live):
        with pytest.raises(ConfigError, match="authorize= takes"):
            live(engine, None)  # type: ignore[arg-type]


@asynccontextmanager
async def _client(engine: Engine, authorize: Any) -> AsyncGenerator[TestClient[Any, Any]]:
    app = web.Application()
    app.router.add_get("/live", for_aiohttp.live(engine, authorize))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_aiohttp_serves_events_and_goes_on_where_one_was() -> None:
    engine, work = made()
    async with engine, _client(engine, everybody) as client:
        handle = await engine.dispatch(work)
        cursor = await first_id(engine)
        async with client.get("/live", headers={"last-event-id": cursor}) as response:
            assert response.content_type == "text/event-stream"
            await engine.jobs.cancel(handle.id)
            lines = [(await response.content.readline()).decode().strip() for _ in range(6)]
            while "data: " not in "".join(lines):
                lines.append((await response.content.readline()).decode().strip())
        told = json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))
        assert (told["job_id"], told["cause"]) == (handle.id, "JobCancelled")


async def test_aiohttp_serves_websockets() -> None:
    engine, work = made()
    async with (
        engine,
        _client(engine, everybody) as client,
        client.ws_connect("/live?channel=all") as socket,
    ):
        handle = await engine.dispatch(work)
        message = await socket.receive()
        assert message.type is WSMsgType.TEXT
        assert json.loads(message.data)["data"]["job_id"] == handle.id


async def test_another_driver_takes_the_place_of_the_store() -> None:
    clock = ManualClock()
    engine, _ = made(clock)
    other = MemoryBackend(clock=clock)
    await other.open()
    elsewhere = Engine(backend=other, clock=clock)

    @elsewhere.job(name="far")
    async def far() -> None: ...

    async with engine, elsewhere:
        app = for_starlette.live(engine, everybody, driver=other)
        async with called(app, scope()) as conversation:
            await clock.rest()
            await elsewhere.dispatch(far)
            await clock.rest()
            assert conversation.causes == ["JobCreated"]
