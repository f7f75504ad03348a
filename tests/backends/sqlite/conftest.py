"""An open store on a file of its own, and the writer's connection for tests that set it traps."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, backend
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.sqlite.gate import Gate

Opened = Callable[[], AbstractAsyncContextManager[SqliteBackend]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """The writing connections of the stores that the test opens, in order."""
    made: list[sqlite3.Connection] = []
    connect = backend.connect_writer

    def kept(*args: object) -> sqlite3.Connection:
        made.append(connect(*args))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(backend, "connect_writer", kept)
    return made


@pytest.fixture
def opened(path: Path, clock: ManualClock) -> Opened:
    """Opens one more store on the same file."""

    @contextlib.asynccontextmanager
    async def another() -> AsyncIterator[SqliteBackend]:
        store = SqliteBackend(path, clock=clock, durability="normal")
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return another


@pytest.fixture
async def store(opened: Opened, connections: list[sqlite3.Connection]) -> AsyncIterator[SqliteBackend]:
    async with opened() as store:
        yield store


@pytest.fixture
def connection(store: SqliteBackend, connections: list[sqlite3.Connection]) -> sqlite3.Connection:
    """The connection that the store writes with."""
    return connections[0]


@pytest.fixture
def gate(connection: sqlite3.Connection) -> Iterator[Gate]:
    """A gate in the writer's way, opened in any case."""
    gate = Gate(connection)
    yield gate
    gate.open()


@pytest.fixture
def stage(store: SqliteBackend, clock: ManualClock) -> Stage:
    return Stage(store, clock)
