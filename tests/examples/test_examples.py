"""The examples run as they stand, and the web apps answer real requests."""

import json
import re
from pathlib import Path

import pytest
from aiohttp import ClientSession

from aiojobs_engine import Engine, JobStarted, JobStatus
from tests.examples.programs import called, run, serving

APPS = [
    pytest.param("starlette_app.py", "Uvicorn running on ", id="starlette"),
    pytest.param("aiohttp_app.py", "Running on ", id="aiohttp"),
]


async def _started(directory: Path, job_id: str) -> None:
    async with Engine(f"sqlite:///{directory}/jobs.db") as engine:
        async for event in engine.handle(job_id).events():
            if isinstance(event, JobStarted):
                return


async def _settled(directory: Path, job_id: str) -> JobStatus:
    async with Engine(f"sqlite:///{directory}/jobs.db") as engine:
        handle = engine.handle(job_id)
        await handle.result(timeout=20)
        return await handle.status()


def test_the_quickstart_prints_the_result(tmp_path: Path) -> None:
    assert run("quickstart.py", tmp_path) == "sent 42\n"


def test_the_observability_example_shows_one_trace_the_figures_and_the_log(tmp_path: Path) -> None:
    trace, _, rest = run("observability/run.py", tmp_path).removeprefix("TRACE\n").partition("\n\nMETRICS\n")
    figures, _, log = rest.partition("\n\nLOG\n")

    assert [re.sub(r"  [\d.]+ ms", "", line) for line in trace.splitlines() if "process" in line] == [
        "    process orders  succeeded",
        "        process money  retry",
        "        process money  succeeded",
        "        process mail  succeeded",
    ]
    assert trace.splitlines()[0].startswith("POST /orders")
    assert 'aiojobs_engine_job_retries_total{aiojobs_engine_task_name="charge_card"' in figures
    records = [json.loads(line) for line in log.splitlines()]
    (paid,) = [record for record in records if record["message"] == "order 4711 is paid"]
    assert (paid["job_type"], paid["attempt"], len(paid["trace_id"])) == ("charge_card", 2, 32)
    assert len({record["trace_id"] for record in records if "trace_id" in record}) == 1


@pytest.mark.parametrize("name, running_on", APPS)
class TestWebApp:
    async def test_a_job_runs_and_its_status_is_shown(
        self, name: str, running_on: str, tmp_path: Path
    ) -> None:
        with serving(name, tmp_path, running_on) as address:
            code, started = called(f"{address}/reports", {"pages": 2})
            assert code == 202

            await _settled(tmp_path, started["id"])
            code, shown = called(f"{address}/reports/{started['id']}")

        assert code == 200
        assert (shown["status"], shown["result"]) == ("completed", "2 pages")
        assert (shown["processed"], shown["total"]) == (2, 2)

    def test_a_wrong_argument_and_an_unknown_job_are_refused(
        self, name: str, running_on: str, tmp_path: Path
    ) -> None:
        with serving(name, tmp_path, running_on) as address:
            refused, problem = called(f"{address}/reports", {"page": 2})
            unknown, missing = called(f"{address}/reports/none")

        assert refused == 422
        assert "did you mean 'pages'?" in problem["error"]
        assert unknown == 404
        assert "none" in missing["error"]

    async def test_a_job_that_runs_at_the_stop_is_finished_first(
        self, name: str, running_on: str, tmp_path: Path
    ) -> None:
        with serving(name, tmp_path, running_on) as address:
            _, started = called(f"{address}/reports", {"pages": 10})
            await _started(tmp_path, started["id"])

        status = await _settled(tmp_path, started["id"])

        assert (status.status, status.attempts, status.processed) == ("completed", 1, 10)


async def test_the_board_brings_each_step_of_a_job_to_the_page(tmp_path: Path) -> None:
    causes: list[str] = []
    with serving("live_board.py", tmp_path, "Uvicorn running on ") as address:
        async with ClientSession() as session, session.get(f"{address}/live/?channel=user:ann") as events:
            assert (await session.get(f"{address}/live/?channel=user:bob")).status == 403
            assert "EventSource" in await (await session.get(address)).text()
            await session.post(f"{address}/start")
            async for line in events.content:
                if line.startswith(b"data: "):
                    causes.append(json.loads(line.removeprefix(b"data: "))["cause"])
                if causes[-1:] == ["JobCompleted"]:
                    break

    assert causes[:2] == ["JobCreated", "JobStarted"]
    assert "JobProgressed" in causes
