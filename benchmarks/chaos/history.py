"""What is left of a run, read without the engine: journals, and the database by the standard library."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.journal import DATABASE, DEEDS, DISPATCHES, DUMP, READS, RUNS, entries

STATUSES = (
    "scheduled",
    "retrying",
    "pending",
    "paused",
    "processing",
    "waiting",
    "completed",
    "partial",
    "failed",
    "cancelled",
    "discarded",
    "expired",
)
FINAL = frozenset(STATUSES[6:])
OWN = {"JobRetrying": 2, "LeaseLost": 1}
"""How many fields some kinds of events add at their end: error and due time, the lost worker."""

TERMINAL = frozenset({"JobCompleted", "JobFailed", "JobCancelled", "JobDiscarded", "JobExpired"})

_JOBS = """
SELECT jobs.id, lanes.type, status, token, attempts, crashes, epoch, succeeded, failed, total, chunks,
    (SELECT parents.id FROM jobs AS parents WHERE parents.seq = jobs.parent), CAST(result AS TEXT),
    error ->> '$.reason', lease_until IS NOT NULL, jobs.seq
FROM jobs JOIN lanes USING (lane)
"""
_EVENTS = "SELECT CAST(body AS TEXT) FROM events ORDER BY seq"
_FAILURES = "SELECT job, row_number FROM failures WHERE NOT resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A row of the database."""

    id: str
    type: str
    status: str
    token: int
    attempts: int
    crashes: int
    epoch: int
    succeeded: int
    failed: int
    total: int
    chunks: int
    parent: str | None
    result: str | None
    reason: str | None
    is_leased: bool
    failures: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stored event; `own` is what its kind adds, as far as `OWN` knows it."""

    name: str
    job_id: str
    processed: int
    total: int
    succeeded: int
    failed: int
    own: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a store did with one job in one call, at the store's own time; only simulations write it down.

    Attributes:
        verb: `claimed`, `rescued`, `extended`, `settled` or `recorded`.
        accepted: whether the store took it.
        until: when the lease ends that it gave; 0 where it gave none.
    """

    verb: str
    at: float
    job_id: str
    token: int
    accepted: bool = True
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that a checker may know.

    Attributes:
        jobs: what the database holds, by id.
        events: what it tells, by job, in order.
        asked: what was dispatched, by id, with what is expected of it.
        stored: ids that were acknowledged.
        unknown: ids whose dispatch raised.
        began, returned: what handlers wrote down, by job, in order.
        deeds: what the nemesis did.
        reads: what was seen of imports, in order.
        integrity: what SQLite says of its file, or what keys of Redis don't fit together.
        calls: what the store did, in its order; empty where nobody stood beside it.
        latest_rescue: seconds within which a lease that ran out is taken over, None where nobody counts.
        crons: by the name of each cron entry the instants that it had to fire at, as ids of jobs tell them.
    """

    jobs: dict[str, StoredJob]
    events: dict[str, list[Event]]
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    began: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    returned: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    deeds: list[dict[str, Any]] = field(default_factory=list)
    reads: list[dict[str, Any]] = field(default_factory=list)
    integrity: str = "ok"
    calls: list[Call] = field(default_factory=list)
    latest_rescue: float | None = None
    crons: dict[str, list[str]] = field(default_factory=dict)


def read_history(folder: Path) -> History:
    """Read what a run left in its folder: a database, or the dump of another store."""
    jobs, events, integrity = _dumped(folder) if (folder / DUMP).exists() else _database(folder)
    dispatches = list(entries(folder / DISPATCHES))
    return History(
        jobs=jobs,
        events=events,
        asked={each["id"]: each for each in dispatches if each["what"] == "asked"},
        stored={each["id"] for each in dispatches if each["what"] == "stored"},
        unknown={job_id for each in dispatches if each["what"] == "unknown" for job_id in each["ids"]},
        began=_by_job(folder, "began"),
        returned=_by_job(folder, "returned"),
        deeds=list(entries(folder / DEEDS)),
        reads=list(entries(folder / READS)),
        integrity=integrity,
    )


def _database(folder: Path) -> tuple[dict[str, StoredJob], dict[str, list[Event]], str]:
    connection = sqlite3.connect(folder / DATABASE)
    try:
        failures: dict[int, list[int]] = defaultdict(list)
        for job, row_number in connection.execute(_FAILURES):
            failures[job].append(row_number)
        jobs = {row[0]: _job(row, failures) for row in connection.execute(_JOBS)}
        bodies = [json.loads(body) for (body,) in connection.execute(_EVENTS)]
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    return jobs, _by_id(event for body in bodies for event in body), integrity


def _dumped(folder: Path) -> tuple[dict[str, StoredJob], dict[str, list[Event]], str]:
    record = json.loads((folder / DUMP).read_text(encoding="utf-8"))
    jobs = {row["id"]: StoredJob(**{**row, "failures": tuple(row["failures"])}) for row in record["jobs"]}
    return jobs, _by_id(record["events"]), record["integrity"]


def _by_id(told: Iterable[list[Any]]) -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = defaultdict(list)
    for name, job_id, _, _, _, _, processed, total, succeeded, failed, *others in told:
        event = Event(
            name=name,
            job_id=job_id,
            processed=processed,
            total=total,
            succeeded=succeeded,
            failed=failed,
            own=tuple(others[len(others) - OWN.get(name, 0) :]),
        )
        events[job_id].append(event)
    return dict(events)


def _job(row: tuple[Any, ...], failures: dict[int, list[int]]) -> StoredJob:
    return StoredJob(
        id=row[0],
        type=row[1],
        status=STATUSES[row[2]],
        token=row[3],
        attempts=row[4],
        crashes=row[5],
        epoch=row[6],
        succeeded=row[7],
        failed=row[8],
        total=row[9],
        chunks=row[10],
        parent=row[11],
        result=row[12],
        reason=row[13],
        is_leased=bool(row[14]),
        failures=tuple(sorted(failures.get(row[15], ()))),
    )


def _by_job(folder: Path, what: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries(folder / RUNS):
        if entry["what"] == what:
            found[entry["id"]].append(entry)
    return dict(found)
