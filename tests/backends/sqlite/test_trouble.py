"""What can go wrong while it runs: no room, a lock that is held, a call that is cancelled, a damaged row."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, writer
from aiojobs_engine.core.errors import BackendFull, BackendUnavailable
from aiojobs_engine.core.events import JobFailed
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Keep
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.sqlite.conftest import Opened
from tests.backends.sqlite.gate import Gate, start

BIG = {"text": "x" * 100_000}


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


def _fill(connection: sqlite3.Connection, room: int) -> None:
    """Leave room for so many pages."""
    connection.execute(f"PRAGMA max_page_count = {_pages(connection) + room}")


async def test_without_room_an_enqueue_stores_nothing(
    stage: Stage, store: SqliteBackend, connection: sqlite3.Connection
) -> None:
    await stage.put("before")
    _fill(connection, 4)

    with pytest.raises(BackendFull, match=r"jobs.db has no room.*free disk space"):
        await store.enqueue([stage.envelope("small"), stage.envelope("large", meta=BIG)])

    assert not connection.in_transaction
    assert [job.id for job in await stage.all_jobs()] == ["before"]
    _fill(connection, 1_000)
    assert [answer.created for answer in await stage.put("small", meta=BIG)] == [True]


async def test_without_room_neighbours_that_fit_are_stored(
    stage: Stage, connection: sqlite3.Connection, gate: Gate
) -> None:
    await stage.put("before")
    _fill(connection, 4)

    gate.close("BEGIN")
    first = start(stage.backend.leave("nobody"))
    await gate.reached()
    large, small = start(stage.put("large", meta=BIG)), start(stage.put("small"))
    await stage.clock.rest()
    gate.open()
    await first

    assert [answer.created for answer in await small] == [True]
    with pytest.raises(BackendFull):
        await large


async def test_a_settlement_that_found_no_room_succeeds_once_there_is_some(
    stage: Stage, connection: sqlite3.Connection
) -> None:
    claim = await stage.start("a")
    _fill(connection, 0)
    result = b'"' + b"x" * 200_000 + b'"'

    with pytest.raises(BackendFull):
        await stage.settle(claim, Status.COMPLETED, result=result)
    assert (await stage.status("a")).status is Status.PROCESSING
    _fill(connection, 1_000)

    assert await stage.settle(claim, Status.COMPLETED, result=result)
    assert await stage.told("a") == ["JobCreated", "JobStarted", "JobCompleted"]


async def test_an_operation_that_fails_does_not_fail_its_neighbours(
    stage: Stage, store: SqliteBackend, gate: Gate
) -> None:
    gate.close("BEGIN")
    first = start(store.leave("nobody"))
    await gate.reached()
    calls = [start(stage.put("a")), start(stage.put("b", priority=2**70)), start(stage.put("c"))]
    await stage.clock.rest()
    gate.open()
    await first
    good, bad, other = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(bad, sqlite3.IntegrityError)
    assert [job.id for job in await stage.all_jobs()] == ["c", "a"]
    assert not isinstance(good, BaseException)
    assert not isinstance(other, BaseException)
    assert await stage.told("b") == []


async def test_a_held_lock_is_waited_for_and_readers_answer_meanwhile(
    path: Path, stage: Stage, store: SqliteBackend
) -> None:
    await stage.put("a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        call = start(stage.put("b"))
        assert (await stage.status("a")).status is Status.PENDING
        assert await store.counts() == {("default", Status.PENDING): 1}
        assert not call.done()
        other.execute("COMMIT")

        assert [answer.created for answer in await call] == [True]


async def test_a_lock_that_is_held_too_long_is_an_error_that_may_be_repeated(
    path: Path, opened: Opened, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_SECONDS", 0.01)
    async with opened() as store:
        stage = Stage(store, clock)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BackendUnavailable, match="another process has held the write lock"):
                await stage.put("a")

        assert [answer.created for answer in await stage.put("a")] == [True]


async def test_a_call_that_is_cancelled_while_it_is_written_is_written_whole(
    stage: Stage, connection: sqlite3.Connection, gate: Gate
) -> None:
    gate.close("COMMIT")
    call = start(stage.put("a", "b"))
    await gate.reached()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.open()

    assert [answer.created for answer in await stage.put("a", "b", "c")] == [False, False, True]
    assert not connection.in_transaction


async def test_a_call_that_is_cancelled_before_its_turn_is_left_out(stage: Stage, gate: Gate) -> None:
    gate.close("BEGIN")
    first = start(stage.backend.leave("nobody"))
    await gate.reached()
    call = start(stage.put("a"))
    await stage.clock.rest()
    call.cancel()
    await asyncio.wait([call])
    gate.open()
    await first

    assert [answer.created for answer in await stage.put("a")] == [True]


@pytest.mark.parametrize("at", ["BEGIN", "-- Ends plain runs", "COMMIT"])
async def test_a_settlement_that_is_cancelled_anywhere_takes_place_or_does_not(
    stage: Stage, store: SqliteBackend, connection: sqlite3.Connection, gate: Gate, at: str
) -> None:
    claim = await stage.start("a")

    gate.close(at)
    call = start(stage.settle(claim, Status.COMPLETED))
    await gate.reached()
    call.cancel()
    await asyncio.wait([call])
    gate.open()

    assert await stage.settle(claim, Status.COMPLETED)
    assert await stage.told("a") == ["JobCreated", "JobStarted", "JobCompleted"]
    assert not connection.in_transaction


async def test_closing_waits_for_what_is_under_way(
    opened: Opened, clock: ManualClock, connections: list[sqlite3.Connection]
) -> None:
    async with opened() as store:
        gate = Gate(connections[0])
        gate.close("COMMIT")
        call = start(Stage(store, clock).put("a"))
        await gate.reached()
        closing_call = start(store.close())
        await clock.rest()
        assert not closing_call.done()
        gate.open()
        await closing_call

        assert [answer.created for answer in await call] == [True]


async def test_a_damaged_job_fails_and_holds_up_nobody(
    stage: Stage, store: SqliteBackend, connection: sqlite3.Connection
) -> None:
    await stage.put("a", "b", "c")
    connection.execute("UPDATE jobs SET body = CAST('{' AS BLOB) WHERE id = 'b'")

    claims = await stage.take(10)

    assert [claim.envelope.id for claim in claims] == ["a", "c"]
    failed = [event for event in await stage.events() if isinstance(event, JobFailed)]
    assert [(event.job_id, event.reason) for event in failed] == [("b", "payload")]
    assert await store.counts() == {("default", Status.PROCESSING): 2, ("default", Status.FAILED): 1}
    connection.execute("UPDATE jobs SET body = (SELECT body FROM jobs WHERE id = 'a') WHERE id = 'b'")


async def test_a_large_body_goes_where_its_job_goes(
    stage: Stage, store: SqliteBackend, connection: sqlite3.Connection
) -> None:
    def bodies() -> int:
        return int(connection.execute("SELECT count(*) FROM bodies").fetchone()[0])

    claim = await stage.start("a", meta=BIG, tags=("red",))
    assert claim.envelope.meta == BIG
    assert (await stage.status("a")).meta == BIG
    assert bodies() == 1
    await stage.settle(claim, Status.FAILED)
    assert await store.retry(["a"]) == [True]
    claim = await stage.take_one()
    await stage.settle(claim, Status.COMPLETED)

    assert await store.prune([Keep((Status.COMPLETED,), 0.0, 0)], 10) == ["a"]

    assert bodies() == 0
    assert connection.execute("SELECT count(*) FROM tags").fetchone() == (0,)


async def test_events_are_bounded(clock: ManualClock, path: Path) -> None:
    store = SqliteBackend(path, clock=clock, durability="normal", max_events=100)
    await store.open()
    stage = Stage(store, clock)

    for number in range(300):
        await stage.put(f"j{number}")
    events = await stage.events()

    assert 100 <= len(events) <= 120
    assert events[-1].job_id == "j299"
    await store.close()
