"""Jobs that no worker knows don't slow the claims of others: counted in the steps of SQLite's machine."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, backend
from aiojobs_engine.backends.sqlite.connect import connect_writer
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Watch
from aiojobs_engine.runtime.system_clock import SystemClock

PARKED = 100_000
CLAIMS = 100
WATCH = Watch("w", ("default",), ("known",))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """The writing connections of the stores that the test opens."""
    made: list[sqlite3.Connection] = []

    def kept(*args: Any) -> sqlite3.Connection:
        made.append(connect_writer(*args))
        return made[-1]

    monkeypatch.setattr(backend, "connect_writer", kept)
    return made


@pytest.fixture
async def store(tmp_path: Path, connections: list[sqlite3.Connection]) -> AsyncIterator[SqliteBackend]:
    store = SqliteBackend(tmp_path / "jobs.db", clock=SystemClock(), durability="normal")
    await store.open()
    yield store
    await store.close()


def envelopes(type: str, count: int, prefix: str) -> list[Envelope]:
    payload, created_at = msgspec.Raw(b"{}"), Instant(1_700_000_000_000)
    return [
        Envelope(id=f"{prefix}{number}", type=type, payload=payload, created_at=created_at)
        for number in range(count)
    ]


async def steps_of_a_claim(store: SqliteBackend, connection: sqlite3.Connection, prefix: str) -> int:
    """Steps of SQLite's machine for one claim that finds as many jobs as it wants."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    await store.enqueue(envelopes("known", CLAIMS, prefix))
    connection.set_progress_handler(count, 1)
    claims = await store.claim(WATCH, CLAIMS, 10.0)
    connection.set_progress_handler(None, 1)
    assert len(claims) == CLAIMS
    return steps


async def test_a_hundred_thousand_jobs_of_unknown_types_add_no_steps_to_a_claim(
    store: SqliteBackend, connections: list[sqlite3.Connection]
) -> None:
    await steps_of_a_claim(store, connections[0], "warm-up-")
    alone = await steps_of_a_claim(store, connections[0], "alone-")

    parked = envelopes("unknown", PARKED, "parked-")
    for first in range(0, PARKED, 5_000):
        await store.enqueue(parked[first : first + 5_000])
    await steps_of_a_claim(store, connections[0], "again-")
    beside = await steps_of_a_claim(store, connections[0], "beside-")

    assert beside <= alone * 1.05
    assert (await store.counts())["default", Status.PENDING] == PARKED


async def test_a_wait_sees_past_jobs_of_unknown_types(store: SqliteBackend) -> None:
    await store.enqueue(envelopes("unknown", 1_000, "parked-"))
    before = store.work.reads

    await store.wait(WATCH, 0.05)

    assert store.work.reads - before <= 3
