"""The SQLite store: what workers and dispatchers call."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from aiojobs_engine.backends.sqlite.alarms import Alarms
from aiojobs_engine.backends.sqlite.bells import Bells
from aiojobs_engine.backends.sqlite.claims import begin, claim, claimable_at, extend, rescue
from aiojobs_engine.backends.sqlite.connect import Durability, check_place, connect_writer
from aiojobs_engine.backends.sqlite.control import SqliteControl
from aiojobs_engine.backends.sqlite.cron import SqliteCron
from aiojobs_engine.backends.sqlite.enqueue import encoded, enqueue
from aiojobs_engine.backends.sqlite.examiner import SqliteExaminer
from aiojobs_engine.backends.sqlite.executions import SqliteExecutions
from aiojobs_engine.backends.sqlite.flow import SqliteLimits
from aiojobs_engine.backends.sqlite.foreign import SqliteForeign
from aiojobs_engine.backends.sqlite.generation import check_generation, write_generation
from aiojobs_engine.backends.sqlite.inspector import SqliteInspector
from aiojobs_engine.backends.sqlite.linked import enqueue_linked
from aiojobs_engine.backends.sqlite.migrate import migrate, raise_generation
from aiojobs_engine.backends.sqlite.reader import Reader
from aiojobs_engine.backends.sqlite.room import make_room
from aiojobs_engine.backends.sqlite.settle import record, settle
from aiojobs_engine.backends.sqlite.stream import SqliteStream, cursor_of
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.backends.sqlite.unique import enqueue_unique
from aiojobs_engine.backends.sqlite.upkeep import promote
from aiojobs_engine.backends.sqlite.wake import Bell, Listeners
from aiojobs_engine.backends.sqlite.writer import Work, Writer, Written
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.ports.backend import (
    Claim,
    Enqueued,
    Lease,
    LeaseStatus,
    Promoted,
    Record,
    Settlement,
    Watch,
)
from aiojobs_engine.ports.clock import Clock


class SqliteBackend(
    SqliteControl,
    SqliteCron,
    SqliteExaminer,
    SqliteExecutions,
    SqliteLimits,
    SqliteInspector,
    SqliteStream,
    SqliteForeign,
):
    """A store in one file, for any number of processes of one machine.

    Writes of this process are gathered into group commits on a thread of its own; reads go through a
    connection that can't write. The file's mode follows the umask: set that, or the directory's mode, where
    other users of the machine must not read payloads.

    Attributes:
        path: the database, in full. Beside it SQLite keeps its log (`-wal`, `-shm`) while it is in use, this
            class the number of uses (`-gen`) and the sockets of those who wait (`-wake`). A copy of the file
            alone lacks what is in the log: back up with `VACUUM INTO`.
    """

    def __init__(
        self, path: Path, *, clock: Clock, durability: Durability = "full", max_events: int = 100_000
    ) -> None:
        """Touch nothing before `open`; keep at least the last `max_events` events, and few more.

        Args:
            durability: `full` syncs every commit to the disk, so that an acknowledged job survives a power
                cut; with `normal` the newest commits may be lost then, though never after a mere crash.
        """
        self.path = self._path = path.resolve()
        self._durability: Durability = durability
        self._clock = clock
        self._bells = Bells(clock)
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._pid = os.getpid()
        self._sink = self._pick = None
        self._max_events = max_events
        self._untrimmed = 0
        self._untrimmed_executions = None
        self._alarms = Alarms(path)
        self._listeners: Listeners | None = None
        self._doorbell: Bell | None = None

    @property
    def work(self) -> Work:
        """How much the writer has done since `open`; zeros of a closed store."""
        return Work() if self._writer is None else self._writer.work

    async def open(self) -> None:
        """Connect, check and migrate; see the port."""
        if self._writer is not None:
            self._check_process()
            return
        try:
            await self._open_parts()
        except OSError as error:
            raise BackendUnavailable(f"{self._path} can't be opened: {error}") from error

    async def _open_parts(self) -> None:
        check_place(self._path)
        self._pid = os.getpid()
        self._listeners = Listeners(self._path, self._clock.boot()[1])
        self._doorbell = Bell(self._path, self._listeners.names)
        writer = Writer(
            self._path,
            self._clock,
            self._connect,
            self._disconnect,
            after_commit=self._after_commit,
            on_loop=self._on_loop,
        )
        await writer.open()
        reader = Reader(self._path, writer.check_file)
        try:
            await reader.open()
        except BaseException:
            await reader.close()
            await writer.close()
            raise
        self._writer, self._reader = writer, reader

    async def close(self) -> None:
        """Finish what is under way and let go; see the port."""
        writer, reader = self._writer, self._reader
        self._writer = self._reader = None
        if self._pid != os.getpid():
            return  # threads, sockets and the file belong to the process that opened them
        self._bells.ring()
        if self._listeners is not None:
            self._listeners.close()
        if reader is not None:
            await reader.close()
        if writer is not None:
            await writer.close()

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """Store new jobs; see the port."""
        self._writing()
        if not envelopes:
            return []
        jobs = encoded(envelopes)
        store = enqueue_linked if any(map(is_linked, envelopes)) else enqueue
        if any(envelope.unique is not None for envelope in envelopes):
            store = enqueue_unique
        return await self._write(lambda tx: _within_bounds(tx, envelopes, store(tx, jobs)), len(jobs))

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        """Lease pending jobs in claim order; see the port."""
        self._writing()
        if limit <= 0:
            return []
        return await self._write(lambda tx: claim(tx, watch, limit, lease, ahead), limit)

    async def wait(self, watch: Watch, timeout: float, *, is_idle: bool = False) -> None:  # noqa: ARG002 - all are woken
        """Return when the watched queues may have gained work, or after `timeout` seconds."""
        self._writing()
        self._listen("jobs")
        with self._bells.for_jobs() as bell:
            await self._until(bell, timeout, lambda tx: claimable_at(tx, watch))

    async def begin(self, leases: Sequence[Lease]) -> None:
        """Note that jobs which were claimed ahead run now; see the port."""
        self._writing()
        if leases:
            await self._write(lambda tx: begin(tx, leases), len(leases))

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        """Let leases end `lease` seconds from now; see the port."""
        self._writing()
        if not leases:
            return []
        return await self._write(lambda tx: extend(tx, leases, lease), len(leases))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End runs; see the port."""
        self._writing()
        if not settlements:
            return []
        return await self._write(lambda tx: settle(tx, settlements), len(settlements))

    async def record(self, records: Sequence[Record]) -> list[bool]:
        """Store what runs report; see the port."""
        self._writing()
        if not records:
            return []
        children = [encoded(each.children) for each in records]
        return await self._write(lambda tx: record(tx, records, children), len(records))

    async def promote(self, limit: int) -> Promoted:
        """Expire what is too late, and make due jobs pending; see the port."""
        return await self._write(lambda tx: self._promote(tx, limit), limit)

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        """Take over leases that ran out; see the port."""
        return await self._write(lambda tx: rescue(tx, worker, limit, lease), limit)

    def _promote(self, tx: Transaction, limit: int) -> Promoted:
        self._alarms.look(tx)
        return promote(tx, limit)

    def _connect(self) -> sqlite3.Connection:
        was_there = self._path.exists() and self._path.stat().st_size > 0
        connection = connect_writer(self._path, self._durability)
        try:
            migrate(connection, self._path)
            number = raise_generation(connection)
            connection.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            connection.close()
            raise
        if was_there:
            check_generation(self._path, number - 1)
        write_generation(self._path, number)
        return connection

    def _disconnect(self, connection: sqlite3.Connection) -> None:
        if self._doorbell is not None:
            self._doorbell.close()
        with suppress(sqlite3.Error):
            write_generation(self._path, raise_generation(connection))
        connection.close()

    def _after_commit(self, written: Written) -> None:
        """Tell other processes; on the writer's thread."""
        if self._doorbell is not None:
            self._doorbell.ring(jobs=written.woke, events=bool(written.rows))

    def _on_loop(self, written: Written) -> None:
        """Tell this process."""
        if written.woke:
            self._bells.ring("jobs")
        if written.events:
            self._bells.ring("events")
            self._trim(len(written.events))
        if self._sink is None or not written.events:
            return
        picked = range(len(written.events)) if self._pick is None else self._pick(written.events)
        if picked:
            self._sink(_with_ids(written, picked))

    def _trim(self, stored: int) -> None:
        """Now and then, delete the events that are too many."""
        self._untrimmed += stored
        if self._untrimmed < self._max_events // 10 or self._writer is None:
            return
        self._untrimmed = 0
        trimmed = self._writer.submit(lambda tx: tx.run("trim_events", keep=self._max_events))
        trimmed.add_done_callback(_pass_over)


def _within_bounds(tx: Transaction, envelopes: Sequence[Envelope], answers: list[Enqueued]) -> list[Enqueued]:
    return make_room(tx, envelopes, answers) if tx.lanes.is_bounded else answers


def _pass_over(trimmed: "asyncio.Future[int]") -> None:
    """A trim that failed is made up for by the next one."""
    if not trimmed.cancelled():
        trimmed.exception()


def _with_ids(written: Written, picked: Sequence[int]) -> list[JobEvent]:
    places = [(row, index) for row, count in written.rows for index in range(count)]
    return [
        msgspec.structs.replace(written.events[index], event_id=cursor_of(places[index])) for index in picked
    ]
