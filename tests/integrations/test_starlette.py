"""An engine inside a Starlette application, under its lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from aiojobs_engine import Engine


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(lifespan: Any = None, *, url: str = "sqlite:///jobs.db") -> tuple[Engine, Starlette]:
    engine = Engine(url)

    @engine.job(name="double")
    async def double(number: int) -> int:
        return number * 2

    async def doubled(request: Request) -> JSONResponse:
        handle = await engine.dispatch(double, number=int(request.path_params["number"]))
        return JSONResponse(await handle.result(timeout=10))

    async def queued(request: Request) -> JSONResponse:
        handle = await engine.dispatch(double, number=int(request.path_params["number"]))
        return JSONResponse({"id": handle.id, "workers": (await engine.health()).workers})

    routes = [Route("/double/{number}", doubled), Route("/queue/{number}", queued)]
    return engine, Starlette(routes=routes, lifespan=lifespan(engine) if lifespan else engine.lifespan)


def test_the_lifespan_opens_the_engine_and_runs_a_worker() -> None:
    engine, app = made()

    with TestClient(app) as client:
        assert client.get("/double/21").json() == 42
        assert engine.is_open

    assert not engine.is_open


def test_an_application_starts_again() -> None:
    _, app = made()

    for number in (1, 2):
        with TestClient(app) as client:
            assert client.get(f"/double/{number}").json() == number * 2


def test_without_a_worker_jobs_wait_for_others() -> None:
    _, app = made(lambda engine: engine.lifespan(worker=False))

    with TestClient(app) as client:
        assert client.get("/queue/21").json()["workers"] == 0


def test_it_composes_with_a_lifespan_of_ones_own() -> None:
    steps: list[str] = []

    def own(engine: Engine) -> Any:
        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
            steps.append("in")
            async with engine.running(worker=True):
                yield {"mine": "state"}
            steps.append("out")

        return lifespan

    _, app = made(own)

    with TestClient(app) as client:
        assert client.get("/double/4").json() == 8
    assert steps == ["in", "out"]


def test_a_worker_that_cannot_start_fails_the_startup() -> None:
    engine, app = made()

    @engine.resources
    async def pool() -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(OSError, match="no database"), TestClient(app):
        pytest.fail("the application must not start")
