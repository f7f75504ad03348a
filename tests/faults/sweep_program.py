"""Settles the same runs on copies of one store, and dies a little later each time.

Usage: python sweep_program.py FOLDER

FOLDER holds `template.db` and `claims.json`. For each point a process is forked that copies the template to
`statement-N.db` or `step-N.db`, settles, and exits at the N-th SQL statement, or at about the N-th
instruction of SQLite's machine, until one gets through.
"""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.backend import Claim, Settlement
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage

STEPS = 40
KILLED = 9

Arm = Callable[[sqlite3.Connection], None]


def settlements(stage: Stage, claims: Sequence[Claim]) -> list[Settlement]:
    """One run of each kind of end: well, again, never, back, and a chunk with failed rows."""
    by_id = {claim.envelope.id: claim for claim in claims}
    due_at, until = stage.after(60), stage.after(3600)
    fault = RowFault(row_number=7, row_key="k", payload={"a": "b"}, field="a", message="wrong")
    error = ErrorInfo("ValueError", "wrong", reason="max_attempts")
    return [
        stage.settlement(by_id["well"], Status.COMPLETED, result=b"42", result_until=until),
        stage.settlement(by_id["again"], Status.RETRYING, due_at=due_at, error=error),
        stage.settlement(by_id["never"], Status.FAILED, error=error),
        stage.settlement(by_id["back"], Status.PENDING),
        stage.settlement(by_id["bulk:1"], Status.PARTIAL, counters=Counters(9, 1, 0, 10), faults=(fault,)),
        stage.settlement(by_id["bulk:2"], Status.COMPLETED, counters=Counters(10, 0, 0, 10)),
    ]


class Mortal(SqliteBackend):
    """A store whose writing connection can be armed to end the process."""

    connection: sqlite3.Connection

    def _connect(self) -> sqlite3.Connection:
        self.connection = super()._connect()
        return self.connection


async def settle(folder: Path, name: str, arm: Arm) -> None:
    """Settle on a copy of the template, armed."""
    path = folder / f"{name}.db"
    shutil.copyfile(folder / "template.db", path)
    claims = msgspec.json.decode((folder / "claims.json").read_bytes(), type=list[Claim])
    clock = ManualClock()
    store = Mortal(path, clock=clock, durability="normal")
    await store.open()
    arm(store.connection)
    assert await store.settle(settlements(Stage(store, clock), claims)) == [True] * len(claims)
    await store.close()


def dying_at(point: int, hook: str) -> Arm:
    """End the process at the `point`-th call of a hook of the connection."""
    left = point

    def count(*_: object) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(KILLED)
        return 0

    def arm(connection: sqlite3.Connection) -> None:
        if hook == "statement":
            connection.set_trace_callback(count)
        else:
            connection.set_progress_handler(count, 1)

    return arm


def forked(folder: Path, name: str, arm: Arm) -> int:
    """The exit code of a process that settles."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        asyncio.run(settle(folder, name, arm))
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - the parent hears of all of them
        os.write(2, f"{name}: {error!r}\n".encode())
        os._exit(1)


def counted_steps(folder: Path) -> int:
    """How many instructions the whole settling takes."""
    reading, writing = os.pipe()

    def arm(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(lambda: os.write(writing, b".") and 0, 1)

    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    assert forked(folder, "counted", arm) == 0
    os.close(writing)
    return len(os.read(reading, 1 << 20))


def sweep(folder: Path) -> None:
    """Die at every statement, and at about `STEPS` instructions."""
    stride = max(1, counted_steps(folder) // STEPS)
    for hook, step in (("statement", 1), ("step", stride)):
        point = 1
        while (code := forked(folder, f"{hook}-{point}", dying_at(point, hook))) == KILLED:
            point += step
        assert code == 0, f"{hook} {point} ended with {code}"


if __name__ == "__main__":
    sweep(Path(sys.argv[1]))
