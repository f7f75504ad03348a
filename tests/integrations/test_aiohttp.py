"""An engine inside an aiohttp application, as one of its cleanup contexts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from aiojobs_engine import Engine


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made() -> tuple[Engine, web.Application]:
    engine = Engine("sqlite:///jobs.db")

    @engine.job(name="double")
    async def double(number: int) -> int:
        return number * 2

    async def doubled(request: web.Request) -> web.Response:
        handle = await engine.dispatch(double, number=int(request.match_info["number"]))
        return web.json_response(await handle.result(timeout=10))

    async def queued(request: web.Request) -> web.Response:
        await engine.dispatch(double, number=int(request.match_info["number"]))
        return web.json_response((await engine.health()).workers)

    app = web.Application()
    app.router.add_get("/double/{number}", doubled)
    app.router.add_get("/queue/{number}", queued)
    return engine, app


async def asked(app: web.Application, path: str) -> object:
    async with TestClient(TestServer(app)) as client:
        return await (await client.get(path)).json()


async def test_the_cleanup_context_opens_the_engine_and_runs_a_worker() -> None:
    engine, app = made()
    app.cleanup_ctx.append(engine.cleanup_ctx)

    assert await asked(app, "/double/21") == 42
    assert not engine.is_open


async def test_without_a_worker_jobs_wait_for_others() -> None:
    engine, app = made()
    app.cleanup_ctx.append(engine.cleanup_ctx(worker=False))

    assert await asked(app, "/queue/21") == 0


async def test_it_composes_with_other_contexts() -> None:
    engine, app = made()
    seen: list[bool] = []

    async def other(app: web.Application) -> AsyncIterator[None]:
        seen.append(engine.is_open)
        yield
        seen.append(engine.is_open)

    app.cleanup_ctx.append(engine.cleanup_ctx)
    app.cleanup_ctx.append(other)

    assert await asked(app, "/double/21") == 42
    assert seen == [True, True]
