"""Requests keep to their bounds, whatever the server does."""

import asyncio
import ssl
import sys
from collections.abc import Sequence

import pytest

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.net.addresses import AddressRefused, AddressRules
from aiojobs_engine.net.request import Bounds, Requests
from aiojobs_engine.testing import ManualClock
from tests.net.server import Received, answering, never, serving


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def requests(*ports: int, clock: ManualClock | None = None) -> Requests:
    rules = AddressRules(ports=ports, allowed=("127.0.0.0/8",), resolve=here)
    return Requests(rules, clock or ManualClock(), verify=ssl.create_default_context())


async def test_a_request_carries_its_name_headers_and_body() -> None:
    async with serving(answering("200 OK", "X-Seen: yes", body=b"thanks")) as server:
        answer = await requests(server.port).send(
            "POST", f"http://hooks.example:{server.port}/in?a=1", headers={"x-a": "b"}, body=b"{}"
        )

    assert (answer.status, answer.is_good, answer.body, answer.is_cut) == (200, True, b"thanks", False)
    assert answer.headers["x-seen"] == "yes"
    received = server.received[0]
    assert received.line == "POST /in?a=1 HTTP/1.1"
    assert received.headers["host"] == f"hooks.example:{server.port}"
    assert (received.headers["x-a"], received.body) == ("b", b"{}")


@pytest.mark.case("E8")
async def test_a_body_without_end_is_cut_and_the_connection_closed() -> None:
    async def endless(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(endless) as server:
        answer = await requests(server.port).send("GET", f"http://a.example:{server.port}/")
        await server.ended.wait()

    assert (len(answer.body), answer.is_cut) == (64 * 1024, True)


@pytest.mark.case("E8")
async def test_a_server_that_does_not_answer_costs_ten_seconds() -> None:
    clock = ManualClock()
    async with serving(never) as server:
        sending = asyncio.get_running_loop().create_task(
            requests(server.port, clock=clock).send("GET", f"http://a.example:{server.port}/")
        )
        await server.heard.wait()
        await clock.advance(9.9)
        assert not sending.done()
        await clock.advance(0.2)
        with pytest.raises(TimeoutError, match="10 s"):
            await sending
        await server.ended.wait()


@pytest.mark.case("E8")
async def test_a_cancelled_request_closes_its_connection() -> None:
    async with serving(never) as server:
        sending = asyncio.get_running_loop().create_task(
            requests(server.port).send("GET", f"http://a.example:{server.port}/")
        )
        await server.heard.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.ended.wait()


@pytest.mark.case("X4", "E8")
async def test_redirects_are_followed_three_times_at_most() -> None:
    async with serving(answering("302 Found", "Location: /again")) as server:
        with pytest.raises(AddressRefused, match="more than 3 times"):
            await requests(server.port).send("GET", f"http://a.example:{server.port}/")

    assert [received.line.split()[1] for received in server.received] == ["/", "/again", "/again", "/again"]


@pytest.mark.case("X4")
@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "http://b.example:22/",
        "//[::1]/",
    ],
)
async def test_a_redirect_to_where_no_request_may_go_is_refused(location: str) -> None:
    async def names(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host.endswith("example") else [host]

    async with serving(answering("307 Temporary Redirect", f"Location: {location}")) as server:
        rules = AddressRules(ports=(server.port, 80), allowed=("a.example",), resolve=names)
        with pytest.raises(AddressRefused):
            await Requests(rules, ManualClock()).send(
                "POST", f"http://a.example:{server.port}/", body=b"secret"
            )

    assert len(server.received) == 1


@pytest.mark.case("X4")
async def test_a_name_that_turns_private_between_two_redirects_is_refused() -> None:
    asked: list[str] = []

    async def turning(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async with serving(answering("307 Temporary Redirect", "Location: /again")) as server:
        rules = AddressRules(ports=(server.port,), allowed=("127.0.0.1",), resolve=turning)
        with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
            await Requests(rules, ManualClock()).send("GET", f"http://a.example:{server.port}/")


@pytest.mark.case("E8")
async def test_a_redirect_to_another_host_can_be_refused() -> None:
    async with serving(answering("307 Temporary Redirect", "Location: http://b.example/")) as server:
        with pytest.raises(AddressRefused, match=r"another host, 'b\.example'"):
            await requests(server.port, 80).send(
                "POST", f"http://a.example:{server.port}/", bounds=Bounds(same_host=True)
            )


async def test_a_post_is_not_turned_into_a_get() -> None:
    async with serving(answering("302 Found", "Location: /again")) as server:
        answer = await requests(server.port).send("POST", f"http://a.example:{server.port}/")

    assert answer.status == 302
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "reply", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"]
)
async def test_a_broken_answer_is_a_connection_error(reply: bytes) -> None:
    async def broken(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    async with serving(broken) as server:
        with pytest.raises(ConnectionError):
            await requests(server.port).send("GET", f"http://a.example:{server.port}/")


async def test_a_server_that_is_away_is_a_connection_error() -> None:
    async with serving(never) as server:
        port = server.port
    with pytest.raises(ConnectionError):
        await requests(port).send("GET", f"http://a.example:{port}/")


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with serving(answering("204 No Content")) as server:
        answer = await requests(server.port).send("GET", f"http://a.example:{server.port}/")

    assert answer.status == 204


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)

    with pytest.raises(ConfigError, match=r"pip install 'aiojobs-engine\[http\]'"):
        Requests(AddressRules(), ManualClock())


@pytest.mark.case("X4")
async def test_a_redirect_to_another_place_is_told_no_secret_of_the_first() -> None:
    secrets = {"authorization": "Bearer s3cret", "cookie": "id=1", "X-Api-Key": "k3y", "accept": "text/plain"}
    async with serving(answering("200 OK")) as other:
        away = f"Location: http://other.example:{other.port}/in"
        async with serving(answering("307 Temporary Redirect", away)) as first:
            answer = await requests(first.port, other.port).send(
                "POST", f"http://a.example:{first.port}/", headers=secrets, body=b"{}"
            )

    assert answer.is_good
    assert {name.lower() for name in secrets} <= first.received[0].headers.keys()
    assert other.received[0].headers.keys() & {name.lower() for name in secrets} == {"accept"}


async def test_a_redirect_within_a_place_keeps_all_headers() -> None:
    async def respond(received: Received, writer: asyncio.StreamWriter) -> None:
        is_first = " / " in received.line
        status = "302 Found" if is_first else "200 OK"
        await answering(status, *(["Location: /in"] if is_first else []))(received, writer)

    async with serving(respond) as server:
        await requests(server.port).send(
            "GET", f"http://a.example:{server.port}/", headers={"authorization": "Bearer s3cret"}
        )

    assert [each.headers["authorization"] for each in server.received] == ["Bearer s3cret"] * 2
