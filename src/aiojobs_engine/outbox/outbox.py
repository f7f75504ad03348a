"""The outbox: a table in the application's database, written in its transactions, emptied by a relay.

A relay reads the oldest entries, stores their jobs, and only then deletes the entries. So a job is stored at
least once, and since its id was made with the entry, once. Any number of relays may run: each stores every
entry before the next one, and what another has stored is there already.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import anyio.to_thread

from aiojobs_engine.core.envelope import Envelope, decode_envelope, encode_envelope, is_linked
from aiojobs_engine.core.errors import ConfigError, DependencyNotFound, IdConflict, PayloadError
from aiojobs_engine.core.job import Job
from aiojobs_engine.engine import Engine
from aiojobs_engine.outbox.statements import statement
from aiojobs_engine.ports.clock import Wake

Dialect = Literal["sqlite", "postgresql", "mysql"]

logger = logging.getLogger(__name__)

_BATCH = 500
_LONGEST_PAUSE = 30.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_KEYS: dict[str, str] = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "mysql": "BIGINT AUTO_INCREMENT PRIMARY KEY",
}


class Connection(Protocol):
    """A connection of the DB-API, as `sqlite3.connect` or SQLAlchemy's `engine.raw_connection` give it."""

    def cursor(self) -> Any:
        """A new cursor."""
        ...

    def commit(self) -> None:
        """Commit."""
        ...

    def close(self) -> None:
        """Close, or give back to the pool."""
        ...


class Entry(NamedTuple):
    """A statement and its values, to run in the application's transaction."""

    sql: str
    values: dict[str, str]


class Outbox:
    """Makes entries for the table, and relays them.

    Attributes:
        table: the name of the table.
    """

    def __init__(self, engine: Engine, *, table: str = "aiojobs_outbox") -> None:
        """Belong to an engine.

        Raises:
            ConfigError: it can't be the name of a table.
        """
        if _NAME.fullmatch(table) is None:
            raise ConfigError(f"a table is named by letters, digits and _, got {table!r:.80}")
        self.table = table
        self._engine = engine

    def schema(self, dialect: Dialect = "sqlite") -> str:
        """The statement that makes the table, for the application's migrations.

        Raises:
            ConfigError: the dialect is unknown.
        """
        if dialect not in _KEYS:
            raise ConfigError(f"a dialect is one of {', '.join(_KEYS)}, got {dialect!r:.80}")
        return statement("create", table=self.table, key=_KEYS[dialect])

    async def entry(self, job: Job[Any]) -> Entry:
        """What to run in the transaction, with named values: `connection.execute(*entry)`.

        For SQLAlchemy it is `session.execute(text(entry.sql), entry.values)`.

        Raises:
            PayloadError, UnknownJobType, ConfigError: as in `Engine.dispatch`.
        """
        envelope = await self._engine.envelope(job)
        sql = statement("add", table=self.table)
        return Entry(sql, {"job_id": envelope.id, "body": encode_envelope(envelope).decode()})

    def relay(self, connect: Callable[[], Connection]) -> Relay:
        """What empties the table: `relay.run()`. It opens connections by `connect`, each in a thread."""
        return Relay(self._engine, self.table, connect)


class Relay:
    """Empties an outbox into the engine, in order."""

    def __init__(self, engine: Engine, table: str, connect: Callable[[], Connection]) -> None:
        """Nothing is read before `run` or `once`."""
        self._engine = engine
        self._table = table
        self._connect = connect
        self._wake = Wake(engine.clock)

    def wake(self) -> None:
        """Look at once: call it after a commit, for less delay. Only from the engine's loop."""
        self._wake.set()

    async def run(self, *, every: float = 0.5) -> None:
        """Relay until cancelled; look every so many seconds, and go on when a database can't be reached."""
        pause = every
        while True:
            try:
                while await self.once():
                    pause = every
            except Exception:  # the application's driver may raise anything
                logger.exception("the outbox %s could not be relayed; again in %.1f s", self._table, pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            await self._wake.wait(pause)

    async def once(self) -> int:
        """Relay the oldest entries; how many there were. May be repeated and cancelled.

        Raises:
            BackendUnavailable, BackendFull: the engine's store took nothing; the entries stay.
        """
        rows = await anyio.to_thread.run_sync(partial(_read, self._connect, self._table))
        if not rows:
            return 0
        faults: dict[int, str] = {}
        envelopes: dict[int, Envelope] = {}
        for number, body in rows:
            try:
                envelopes[number] = decode_envelope(body)
            except PayloadError as error:
                faults[number] = str(error)
        for together in _runs(envelopes):
            answers = await self._engine.store.enqueue([envelopes[number] for number in together])
            for number, answer in zip(together, answers, strict=True):
                if answer.missing is not None:
                    faults[number] = str(DependencyNotFound(answer.missing))
                elif answer.conflict:
                    faults[number] = str(IdConflict(answer.job_id))
        done = [number for number, _ in rows if number not in faults]
        await anyio.to_thread.run_sync(partial(_write, self._connect, self._table, done, faults))
        for number, fault in faults.items():
            logger.error("entry %d of the outbox %s was set aside: %s", number, self._table, fault)
        return len(rows)


def _runs(envelopes: Mapping[int, Envelope]) -> Iterator[list[int]]:
    """Entries, in order, that are stored in one call; those with links each alone, for one may refuse all."""
    together: list[int] = []
    for number, envelope in envelopes.items():
        if is_linked(envelope):
            if together:
                yield together
            yield [number]
            together = []
        else:
            together.append(number)
    if together:
        yield together


def _read(connect: Callable[[], Connection], table: str) -> list[tuple[int, str]]:
    with closing(connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(statement("oldest", table=table, limit=str(_BATCH)))
        rows = [(int(row[0]), str(row[1])) for row in cursor.fetchall()]
        connection.commit()
        return rows


def _write(
    connect: Callable[[], Connection], table: str, done: Sequence[int], faults: Mapping[int, str]
) -> None:
    with closing(connect()) as connection:
        cursor = connection.cursor()
        if done:
            cursor.execute(statement("delete", table=table, entries=", ".join(map(str, done))))
        for number, fault in faults.items():
            told = "".join(char if char.isalnum() or char in " .,:_-()" else " " for char in fault[:500])
            cursor.execute(statement("set_aside", table=table, fault=told, entry=str(number)))
        connection.commit()
