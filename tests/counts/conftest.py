"""An engine on SQLite whose first job is done, so that what happens once is over."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aiojobs_engine import Engine, JobRegistry
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.runtime.system_clock import SystemClock
from tests.counts.jobs import empty, registry
from tests.counts.meter import work_off


@pytest.fixture(autouse=True)
def _usual_logging() -> Iterator[None]:
    """Logging as a worker's command line sets it up; pytest listens to everything."""
    logger = logging.getLogger("aiojobs_engine")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture
def store(tmp_path: Path) -> SqliteBackend:
    return SqliteBackend(tmp_path / "jobs.db", clock=SystemClock(), durability="normal")


@pytest.fixture
async def engine(store: SqliteBackend) -> AsyncIterator[Engine]:
    own = JobRegistry()
    own.include(registry)
    async with Engine(backend=store, registry=own) as engine:
        await engine.dispatch(empty, n=0)
        await work_off(engine)
        yield engine
