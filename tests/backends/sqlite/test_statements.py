import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, backend
from aiojobs_engine.backends.sqlite.codes import CODES, STATUSES
from aiojobs_engine.backends.sqlite.migrate import SCHEMA
from aiojobs_engine.backends.sqlite.sql import migration, sql
from aiojobs_engine.core.state import FINAL, QUEUED, Status
from aiojobs_engine.testing.conformance.stage import Stage

NAMES = sorted(file.stem for file in (Path(backend.__file__).parent / "sql").glob("*.sql"))


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for number in range(1, SCHEMA + 1):
        connection.executescript(migration(number) or "")
    yield connection
    connection.close()


def _code(name: str) -> str:
    return "\n".join(line for line in sql(name).splitlines() if not line.startswith("--"))


def _explained(connection: sqlite3.Connection, name: str) -> str:
    values = dict.fromkeys(re.findall(r":([a-z_]+)", _code(name)))
    return " | ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql(name), values))


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_compiles(empty: sqlite3.Connection, name: str) -> None:
    values = dict.fromkeys(re.findall(r":([a-z_]+)", _code(name)))

    assert empty.execute("EXPLAIN " + sql(name), values).fetchall()


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_stands_alone_under_its_contract(name: str) -> None:
    assert sql(name).startswith("-- ")
    assert ";" not in _code(name)
    assert "?" not in _code(name), "parameters are named"


@pytest.mark.parametrize(
    "name, index",
    [
        ("pick", "jobs_ready (lane=?)"),
        ("promote", "jobs_due (due_at<?)"),
        ("next_due", "jobs_due"),
        ("late", "jobs_expiring (expires_at>? AND expires_at<?)"),
        ("lost", "jobs_leased (lease_boot=? AND lease_until<?)"),
        ("oldest_final", "jobs_final (status=? AND lane=? AND finished_at>?)"),
        ("count_final", "jobs_final (status=?)"),
        ("drop_results", "jobs_results (result_until>? AND result_until<?)"),
        ("chunks", "jobs_chunks (parent=?)"),
        ("open_chunks", "jobs_chunks (parent=? AND status<?)"),
        ("running", "jobs_chunks (parent=?)"),
        ("needs_of", "needs_job (job=?)"),
        ("drop_needs", "needs_dependent (dependent=?)"),
        ("find_ended_badly", "jobs_ended_badly"),
        ("find_user", "jobs_users"),
        ("find_parent", "jobs_chunks"),
        ("events_since", "SEARCH events"),
        ("cron_history", "cron_fires_of (name=? AND seq<?)"),
        ("cron_unfinished", "cron_fires_of (name=?)"),
        ("trim_cron_fires", "cron_fires_of (name=? AND seq<?)"),
    ],
)
def test_what_runs_often_reads_its_own_index(empty: sqlite3.Connection, name: str, index: str) -> None:
    assert index in _explained(empty, name)


@pytest.mark.parametrize(
    "name", ["pick", "promote", "late", "oldest_final", "find_all", "find_user", "find_tag"]
)
def test_what_comes_in_order_is_not_sorted(empty: sqlite3.Connection, name: str) -> None:
    assert "TEMP B-TREE FOR ORDER BY" not in _explained(empty, name)


@pytest.mark.parametrize(
    "name", ["claim", "rescue", "settle", "store", "extend", "begin", "hold", "load", "held"]
)
def test_a_lease_is_addressed_by_number(empty: sqlite3.Connection, name: str) -> None:
    assert "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)" in _explained(empty, name)


def test_the_table_of_statuses_says_what_the_code_says(empty: sqlite3.Connection) -> None:
    rows = empty.execute("SELECT status, name FROM statuses ORDER BY status").fetchall()

    assert rows == [(code, status.value) for code, status in enumerate(STATUSES)]
    assert set(STATUSES) == set(Status)


def test_statuses_are_numbered_so_that_kinds_of_them_are_ranges() -> None:
    assert {status for status in Status if CODES[status] < 4} == QUEUED
    assert {status for status in Status if CODES[status] > 5} == FINAL


async def test_claiming_costs_the_same_however_many_others_wait(
    store: SqliteBackend, connection: sqlite3.Connection, stage: Stage
) -> None:
    async def steps_of_a_claim() -> int:
        await stage.put(*[f"{len(taken)}-{number}" for number in range(10)])
        ticks: list[int] = []
        connection.set_progress_handler(lambda: ticks.append(1) and None, 10)
        claims = await stage.take(10)
        connection.set_progress_handler(None, 10)
        taken.extend(claim.envelope.id for claim in claims)
        assert len(claims) == 10
        return len(ticks)

    taken: list[str] = []
    await steps_of_a_claim()
    among_few = await steps_of_a_claim()
    others = [stage.envelope(f"o{number}", type="unknown") for number in range(3_000)]
    others += [stage.envelope(f"p{number}", queue="paused") for number in range(3_000)]
    others += [stage.envelope(f"n{number}", v=99) for number in range(3_000)]
    await store.enqueue(others)
    await store.pause_queue("paused")
    await steps_of_a_claim()
    among_many = await steps_of_a_claim()

    assert among_many <= among_few * 1.2
