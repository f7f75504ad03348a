"""HTTP calls as jobs: where they may go, what they may bring, what an answer means."""

import gzip
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from aiojobs_engine import Engine, JobDiscardedError, JobFailedError, Retry, kinds
from aiojobs_engine.net.addresses import AddressRules
from tests.net.server import answering, serving


async def _here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def _urls(engine: Engine, *ports: int) -> None:
    engine.include(kinds.urls(rules=AddressRules(ports=ports, allowed=("127.0.0.0/8",), resolve=_here)))


async def _call(engine: Engine, **arguments: Any) -> Any:
    handle = await engine.dispatch(engine.registry.get("url").options(retry=Retry.none()), **arguments)
    await engine.worker(burst=True, await_retries=False).run()
    return await handle.result(timeout=5)


@pytest.mark.seed("DJ-56")
async def test_a_call_carries_method_headers_body_and_the_jobs_key(engine: Engine) -> None:
    async with serving(answering("201 Created", "X-Seen: yes", body="gänz".encode())) as server, engine:
        _urls(engine, server.port)
        url = f"http://hooks.example:{server.port}/in"
        result = await _call(engine, url=url, method="POST", headers={"X-A": "b"}, body="{}")

        assert (result.status, result.body, result.is_cut) == (201, "gänz", False)
        assert (result.url, result.headers["x-seen"]) == (url, "yes")
        received = server.received[0]
        assert received.line == "POST /in HTTP/1.1"
        assert (received.headers["x-a"], received.body) == ("b", b"{}")
        (job,) = (await engine.jobs.list()).items
        assert received.headers["idempotency-key"] == job.id


@pytest.mark.case("X3")
@pytest.mark.case("X5")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://user:pw@example.com/",
        "http://93.184.216.34:22/",
        "http://93.184.216.34/\r\nX: y",
    ],
)
async def test_a_forbidden_address_ends_the_job(engine: Engine, url: str) -> None:
    engine.include(kinds.urls())
    async with engine:
        with pytest.raises(JobDiscardedError):
            await _call(engine, url=url)


@pytest.mark.case("X4")
async def test_a_redirect_is_checked_like_the_first_address(engine: Engine) -> None:
    async with serving(answering("302 Found", "Location: http://10.0.0.1/")) as server, engine:
        rules = AddressRules(ports=(80, server.port), allowed=("hooks.example",), resolve=_by_name)
        engine.include(kinds.urls(rules=rules))
        with pytest.raises(JobDiscardedError, match="not public"):
            await _call(engine, url=f"http://hooks.example:{server.port}/")

        assert len(server.received) == 1


@pytest.mark.case("X6")
async def test_a_bomb_is_not_unpacked_and_not_read_beyond_the_cap(engine: Engine) -> None:
    bomb = gzip.compress(bytes(100_000_000), 9)
    async with serving(answering("200 OK", "Content-Encoding: gzip", body=bomb)) as server, engine:
        _urls(engine, server.port)
        await _call(engine, url=f"http://a.example:{server.port}/", expect=[200])
        tracemalloc.start()
        try:
            result = await _call(engine, url=f"http://b.example:{server.port}/")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert result.is_cut
    assert len(result.body) <= 64 * 1024
    assert peak < 64 * 1024 + 1024 * 1024
    assert server.received[0].headers["accept-encoding"] == "identity"


@pytest.mark.case("X5")
@pytest.mark.parametrize(
    "headers",
    [{"Host": "inner"}, {"x\r\ny": "z"}, {"x": "a\r\nHost: b"}, {"Transfer-Encoding": "chunked"}, {"": "x"}],
)
async def test_headers_can_not_break_out(engine: Engine, headers: dict[str, str]) -> None:
    async with serving(answering("200 OK")) as server, engine:
        _urls(engine, server.port)
        with pytest.raises(JobDiscardedError):
            await _call(engine, url=f"http://a.example:{server.port}/", headers=headers)

        assert server.received == []


@pytest.mark.parametrize(
    "status, error",
    [
        ("404 Not Found", JobDiscardedError),
        ("500 Oops", JobFailedError),
        ("304 Not Modified", JobDiscardedError),
    ],
)
async def test_a_status_that_another_call_may_change_is_retried(
    engine: Engine, status: str, error: type[Exception]
) -> None:
    async with serving(answering(status)) as server, engine:
        _urls(engine, server.port)
        with pytest.raises(error, match=status.split(maxsplit=1)[0]):
            await _call(engine, url=f"http://a.example:{server.port}/")
        good = [int(status.split(maxsplit=1)[0])]
        assert (await _call(engine, url=f"http://a.example:{server.port}/", expect=good)).status == good[0]


async def test_retry_after_is_heeded(engine: Engine) -> None:
    async with serving(answering("429 Slow Down", "Retry-After: 120")) as server, engine:
        _urls(engine, server.port)
        job_type = engine.registry.get("url").options(retry=Retry.fixed(3, 1))
        handle = await engine.dispatch(job_type, url=f"http://a.example:{server.port}/")
        await engine.worker(burst=True, await_retries=False).run()

        job = await handle.status()
        assert job.status == "retrying"
        assert job.scheduled_at is not None
        assert job.started_at is not None
        assert 119 < (job.scheduled_at - job.started_at).total_seconds() < 180


async def _by_name(host: str, port: int) -> Sequence[str]:
    return ["10.0.0.1"] if host.startswith("10.") else ["127.0.0.1"]
