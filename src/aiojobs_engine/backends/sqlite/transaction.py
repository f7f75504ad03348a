"""What an operation sees while the writer's transaction is open."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import msgspec

from aiojobs_engine.backends.sqlite.lanes import Lane, Lanes
from aiojobs_engine.backends.sqlite.sql import sql
from aiojobs_engine.core.events import JobEvent, encode_events
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.clock import Clock

EVENTS_PER_ROW = 256

_encode = msgspec.json.Encoder().encode


class Executes(Protocol):
    """What a transaction needs of a connection."""

    def execute(self, sql: str, values: Any = ..., /) -> sqlite3.Cursor:
        """Run one statement."""
        ...


class Transaction:
    """One write transaction, shared by the operations of a round.

    Values go in and come out as one JSON document per statement, never as a row at a time: each step of a
    statement gives up the interpreter's lock, and a busy event loop takes milliseconds to hand it back.

    Attributes:
        events: what the operations store, in order; the writer packs them when the last operation has run.
        woke: whether jobs became claimable.
        lined: whether a key under limits may have to be looked at.
        statements: how many statements have been run.
    """

    def __init__(self, connection: Executes, clock: Clock, lanes: Lanes) -> None:
        """Read the clock when an operation first asks for the time, so that all see the same."""
        self._connection = connection
        self._clock = clock
        self.lanes = lanes
        self.events: list[JobEvent] = []
        self.woke = self.lined = False
        self.statements = 0

    @cached_property
    def now(self) -> Instant:
        """The wall clock of this transaction."""
        return self._clock.now()

    @cached_property
    def boot(self) -> tuple[int, int]:
        """The number of this boot in the table of boots, and ms since it."""
        name, elapsed = self._clock.boot()
        return self.lanes.boot(self, name), elapsed

    def lease_until(self, lease: float) -> int:
        """The end of a lease of `lease` seconds that begins now, ms of this boot."""
        return self.boot[1] + max(0, round(lease * 1000))

    def lane(self, number: int) -> Lane:
        """A lane that stored jobs have."""
        return self.lanes.of(self, number)

    def run(self, name: str, /, **values: Any) -> int:
        """Run `sql/<name>.sql`, which changes rows; how many. Lists and mappings go in as JSON."""
        return self._execute(name, values).rowcount

    def one(self, name: str, /, **values: Any) -> tuple[Any, ...]:
        """The only row that `sql/<name>.sql` gives."""
        row: tuple[Any, ...] = self._execute(name, values).fetchone()
        return row

    def value(self, name: str, /, **values: Any) -> Any:
        """The only column of the only row that `sql/<name>.sql` gives."""
        return self.one(name, **values)[0]

    def data_version(self) -> int:
        """A number that changes when another connection writes."""
        self.statements += 1
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def savepoint(self) -> None:
        """Mark the place that `back` returns to."""
        self.statements += 1
        self._connection.execute("SAVEPOINT attempt")

    def back(self) -> None:
        """Undo what was done since `savepoint`."""
        self.statements += 1
        self._connection.execute("ROLLBACK TO attempt")

    def store_events(self) -> list[tuple[int, int]]:
        """Pack and store the events; the number of each row, in order, and how many it holds."""
        return [
            self._store_events(self.events[start : start + EVENTS_PER_ROW])
            for start in range(0, len(self.events), EVENTS_PER_ROW)
        ]

    def _store_events(self, events: Sequence[JobEvent]) -> tuple[int, int]:
        latest = max(event.at for event in events)
        values = {"at": latest, "count": len(events), "body": encode_events(events)}
        return self._execute("add_events", values).lastrowid or 0, len(events)

    def _execute(self, name: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        self.statements += 1
        bound = {
            key: _encode(value).decode() if isinstance(value, (list, tuple, dict)) else value
            for key, value in values.items()
        }
        return self._connection.execute(sql(name), bound)
