"""What nobody listens to costs nothing per job."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import Engine, JobRegistry
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.runtime.system_clock import SystemClock
from tests.counts.jobs import empty, registry
from tests.counts.meter import Calls, metered, work_off

JOBS = 1_000
SILENT = {"listeners": {"broadcast": False, "log": False, "notify": False}}
EXTRAS = ("opentelemetry", "redis", "rich", "starlette", "jinja2")
WORKER = """
import asyncio, sys
from aiojobs_engine import Engine

engine = Engine("sqlite:///jobs.db")

@engine.job(name="empty")
async def empty() -> None: ...

async def main() -> None:
    async with engine:
        await engine.dispatch(empty)
        await engine.worker(burst=True).run()

asyncio.run(main())
print(*sys.modules)
"""


@pytest.fixture
async def calls_per_job(tmp_path: Path) -> dict[str, float]:
    """Calls of Python functions per drained job, without listeners and with those that are on by default."""
    counts: dict[str, float] = {}
    configs: dict[str, dict[str, Any]] = {"silent": SILENT, "default": {}}
    for name, config in configs.items():
        own = JobRegistry()
        own.include(registry)
        store = SqliteBackend(tmp_path / f"{name}.db", clock=SystemClock(), durability="normal")
        async with Engine(backend=store, registry=own, config=config) as engine:
            await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))
            with Calls() as calls:
                await work_off(engine)
        counts[name] = calls.count / JOBS
    return counts


async def test_listeners_that_have_nothing_to_say_take_few_calls(calls_per_job: dict[str, float]) -> None:
    assert calls_per_job["default"] - calls_per_job["silent"] <= 15


async def test_a_listener_takes_no_statement_and_no_task_per_job(
    engine: Engine, store: SqliteBackend
) -> None:
    heard = 0

    @engine.on()
    async def count(event: object) -> None:
        nonlocal heard
        heard += 1

    await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))
    with metered(store) as cost:
        await work_off(engine)

    assert heard > 0
    assert cost.statements <= 220
    assert cost.tasks <= JOBS + 50


def test_a_worker_without_telemetry_or_extras_imports_none_of_them(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert [name for name in ran.stdout.split() if name.startswith(EXTRAS)] == []


async def test_tracing_without_a_provider_takes_hardly_a_call(tmp_path: Path) -> None:
    import opentelemetry.trace  # noqa: F401 - as libraries do, so that its provider is the API's default

    counts: dict[bool, float] = {}
    for is_on in (False, True):
        own = JobRegistry()
        own.include(registry)
        store = SqliteBackend(tmp_path / f"{is_on}.db", clock=SystemClock(), durability="normal")
        config = {**SILENT, "telemetry": {"tracing": is_on, "metrics": is_on}}
        async with Engine(backend=store, registry=own, config=config) as engine:
            with Calls() as calls:
                await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))
                await work_off(engine)
        counts[is_on] = calls.count / JOBS

    assert counts[True] - counts[False] <= 4
