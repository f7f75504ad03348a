"""The one thread of this process that writes, and the group commit.

Each round takes everything that is queued and runs it in one transaction, so that a commit, the only thing
here that waits for the disk, is paid for by many. An operation that fails must not fail its neighbours: the
round is then undone and run again, each operation in a transaction of its own.
"""

import asyncio
import atexit
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from aiojobs_engine.backends.sqlite.connect import BUSY_SECONDS
from aiojobs_engine.backends.sqlite.errors import translated, translated_at_open
from aiojobs_engine.backends.sqlite.lanes import Lanes
from aiojobs_engine.backends.sqlite.lines import look
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.backends.sqlite.turns import Turns
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.ports.clock import Clock

_T = TypeVar("_T")
_ROUND_WEIGHT = 4_000
_EXIT_SECONDS = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Operation(Generic[_T]):
    """A function to run in the writer's transaction, and who waits for its answer.

    Attributes:
        run: may run twice, of which only the last one lasts; it changes nothing outside of the store.
        weight: about how many rows it touches.
        is_read: it runs outside of a transaction, so that it needs no write lock.
    """

    run: Callable[[Transaction], _T]
    future: "asyncio.Future[_T]"
    weight: int = 1
    is_read: bool = False


@dataclass(slots=True)
class Written:
    """What a round did, as it is told on the loop.

    Attributes:
        answers: each operation's future with its result, or with its error.
        events: what was stored, in order; `rows` numbers the rows that hold them, and says how many each.
        woke: whether jobs became claimable.
    """

    answers: list[tuple["asyncio.Future[Any]", Any, BaseException | None]] = field(default_factory=list)
    events: list[JobEvent] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)
    woke: bool = False


@dataclass(slots=True)
class Work:
    """How much the writer has done; tests and metrics read it.

    Attributes:
        transactions: rounds, those that failed too.
        statements: of the operations, without the begin and the end of transactions.
        operations: writing calls that were answered well.
        reads: looks on the writer's connection, such as those of waiting calls.
    """

    transactions: int = 0
    statements: int = 0
    operations: int = 0
    reads: int = 0


class Writer:
    """Owns the writing connection; `submit` from the loop, everything else happens on its thread."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        connect: Callable[[], sqlite3.Connection],
        disconnect: Callable[[sqlite3.Connection], None],
        *,
        after_commit: Callable[[Written], None],
        on_loop: Callable[[Written], None],
    ) -> None:
        """Prepare; all callables run on the thread but `on_loop`, which runs before answers are given."""
        self.work = Work()
        self.lanes = Lanes()
        self._path = path
        self._clock = clock
        self._connect = connect
        self._disconnect = disconnect
        self._after_commit = after_commit
        self._on_loop = on_loop
        self._queue: SimpleQueue[Operation[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._pid = os.getpid()
        self._turns = Turns(clock, BUSY_SECONDS)
        self._thread = Thread(target=self._main, name=f"aiojobs-sqlite-{path.name}", daemon=True)
        self._inode: tuple[int, int] | None = None

    async def open(self) -> None:
        """Start the thread and let it connect; its errors are raised here."""
        self._thread.start()
        atexit.register(self._stop_at_exit)
        try:
            await self._opened
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Run what is queued, then close the connection."""
        atexit.unregister(self._stop_at_exit)
        self._queue.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    def submit(
        self, run: Callable[[Transaction], _T], *, weight: int = 1, is_read: bool = False
    ) -> "asyncio.Future[_T]":
        """Queue an operation. Whoever stops waiting for the future leaves it to run to its end."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._queue.put(Operation(run, future, weight, is_read))
        return future

    def check_file(self) -> None:
        """Make sure that the path still names the file that was opened.

        Raises:
            BackendUnavailable: it was deleted or replaced.
        """
        try:
            status = self._path.stat()
        except OSError as error:
            raise BackendUnavailable(
                f"{self._path} was deleted while it was open: {error}; restart"
            ) from error
        if (status.st_dev, status.st_ino) != self._inode:
            raise BackendUnavailable(
                f"{self._path} was replaced while it was open; restart to use the new file"
            )

    def _main(self) -> None:
        try:
            self._run()
        finally:
            self._tell(lambda: _answer(self._ended, None, None))

    def _run(self) -> None:
        try:
            connection = self._connect()
            status = self._path.stat()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to whoever opens
            refused = _at_open(error, self._path)
            self._tell(lambda: _answer(self._opened, None, refused))
            return
        self._inode = (status.st_dev, status.st_ino)
        self._tell(lambda: _answer(self._opened, None, None))
        try:
            while operations := self._take():
                try:
                    self._turn(connection, operations)
                except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                    _log.exception("a round of writes to %s broke off", self._path)
                    self._undo(connection)
                    broken = Written()
                    self._refuse(operations, error, broken)
                    self._tell(partial(self._finish, broken))
        finally:
            self._disconnect(connection)

    def _take(self) -> list[Operation[Any]]:
        """Everything that is queued, within bounds; empty when it is time to stop."""
        taken: list[Operation[Any]] = []
        weight = 0
        while weight < _ROUND_WEIGHT:
            try:
                operation = self._queue.get_nowait() if taken else self._queue.get()
            except Empty:
                break
            if operation is None:
                self._queue.put(None)
                break
            taken.append(operation)
            weight += operation.weight
        return taken

    def _turn(self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> None:
        waited = [operation for operation in operations if not operation.future.cancelled()]
        written = Written()
        writes = [operation for operation in waited if not operation.is_read]
        if writes:
            self._write(connection, writes, written)
            self._turns.released()
            if written.rows or written.woke:
                self._after_commit(written)
        for operation in waited:
            if operation.is_read:
                self._read(connection, operation, written)
        self._tell(lambda: self._finish(written))

    def _write(
        self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]], written: Written
    ) -> None:
        try:
            self.check_file()
            self._turns.begin(connection)
        except (sqlite3.Error, BackendUnavailable) as error:
            self._refuse(operations, error, written)
            return
        tx = Transaction(connection, self._clock, self.lanes)
        try:
            results = [operation.run(tx) for operation in operations]
            if tx.lined:
                look(tx)
            rows = tx.store_events() if tx.events else []
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            self._undo(connection)
            if len(operations) == 1:
                self._refuse(operations, error, written)
            else:
                for operation in operations:
                    self._write(connection, [operation], written)
            return
        finally:
            self.work.transactions += 1
            self.work.statements += tx.statements
        self.work.operations += len(operations)
        written.answers += [
            (operation.future, result, None) for operation, result in zip(operations, results, strict=True)
        ]
        written.events += tx.events
        written.rows += rows
        written.woke |= tx.woke

    def _read(self, connection: sqlite3.Connection, operation: Operation[Any], written: Written) -> None:
        tx = Transaction(connection, self._clock, self.lanes)
        self.work.reads += 1
        try:
            self.check_file()
            written.answers.append((operation.future, operation.run(tx), None))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            self._refuse([operation], error, written)

    def _undo(self, connection: sqlite3.Connection) -> None:
        self.lanes.forget()
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            _log.exception("a transaction of %s could not be rolled back", self._path)

    def _refuse(self, operations: Sequence[Operation[Any]], error: Exception, written: Written) -> None:
        refused = translated(error, self._path) if isinstance(error, sqlite3.Error) else error
        if refused is not error:
            refused.__cause__ = error
        written.answers += [(operation.future, None, refused) for operation in operations]

    def _finish(self, written: Written) -> None:
        try:
            self._on_loop(written)
        finally:
            for future, result, error in written.answers:
                _answer(future, result, error)

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            _log.debug("the loop of %s was closed before the answer came", self._path)

    def _stop_at_exit(self) -> None:
        if self._pid != os.getpid():
            return
        _log.warning("%s was not closed before the process ended; use `async with engine:`", self._path)
        self._queue.put(None)
        self._thread.join(_EXIT_SECONDS)


def _answer(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _at_open(error: BaseException, path: Path) -> BaseException:
    return translated_at_open(error, path) if isinstance(error, sqlite3.Error) else error
