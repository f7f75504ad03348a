from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance import BackendContract


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def backend(clock: ManualClock, tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend(tmp_path / "jobs.db", clock=clock, durability="normal")
    await backend.open()
    yield backend
    await backend.close()


class TestSqlite(BackendContract): ...
