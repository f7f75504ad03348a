"""Writers and relays that are killed at any moment: every committed order has its job, once and in order."""

import random
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event

import pytest

from aiojobs_engine import Engine, Outbox
from tests.faults import outbox_program

PROGRAM = Path(outbox_program.__file__)
KILLS = 6
LONGEST = 0.4


def _spawn(stack: ExitStack, folder: Path, role: str) -> subprocess.Popen[str]:
    made = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), role], stdout=subprocess.PIPE, text=True
    )
    stack.enter_context(made)
    stack.callback(made.kill)
    return made


async def _prepared(folder: Path) -> None:
    async with Engine(f"sqlite:///{folder}/jobs.db", registry=outbox_program.registry) as engine:
        for name in ("jobs.db", "app.db"):
            with closing(sqlite3.connect(folder / name)) as connection:
                connection.execute("CREATE TABLE orders (number INTEGER)")
                if name == "app.db":
                    connection.execute(Outbox(engine).schema())
                connection.commit()


def _orders(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM orders ORDER BY rowid")]


async def _jobs(folder: Path, role: str) -> list[int]:
    async with Engine(f"sqlite:///{folder}/jobs.db", registry=outbox_program.registry) as engine:
        relay = Outbox(engine).relay(lambda: sqlite3.connect(folder / "app.db"))
        while await relay.once():
            pass
        found = [job.id async for job in engine.jobs.list(limit=1000)]
    return [int(job_id.removeprefix(f"{role}-")) for job_id in reversed(found)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("role", ["inside", "outbox"])
async def test_every_committed_order_has_its_job_once_and_in_order(tmp_path: Path, role: str) -> None:
    await _prepared(tmp_path)
    chance = random.Random(7)
    never = Event()
    for _ in range(KILLS):
        with ExitStack() as stack:
            programs = [_spawn(stack, tmp_path, role)]
            if role == "outbox":
                programs += [_spawn(stack, tmp_path, "relay") for _ in range(2)]
            for program in programs:
                assert program.stdout is not None
                assert program.stdout.readline() == "ready\n"
            never.wait(chance.uniform(0, LONGEST))
            chance.shuffle(programs)
            for program in programs:
                program.kill()

    orders = _orders(tmp_path / ("jobs.db" if role == "inside" else "app.db"))
    assert len(orders) >= KILLS
    assert orders == list(range(1, len(orders) + 1))
    assert await _jobs(tmp_path, role) == orders
