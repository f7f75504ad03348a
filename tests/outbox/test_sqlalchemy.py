"""The outbox in transactions of SQLAlchemy, sync and async, on an engine of its own."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from aiojobs_engine import Engine, JobRegistry, Outbox
from tests.faults import sqlalchemy_program

registry = JobRegistry()
ran: list[int] = []
PROGRAM = Path(sqlalchemy_program.__file__)
KILLS = 2


@registry.job(name="ship")
async def ship(order: int) -> None:
    ran.append(order)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    ran.clear()
    async with Engine(f"sqlite:///{tmp_path}/jobs.db", registry=registry) as made:
        yield made


@pytest.fixture
def database(tmp_path: Path, engine: Engine) -> Iterator[sqlalchemy.Engine]:
    made = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/app.db")
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE orders (number INTEGER)"))
        connection.execute(text(Outbox(engine).schema(made.dialect.name)))
    yield made
    made.dispose()


async def _order(session: Any, outbox: Outbox, number: int) -> None:
    """An order and its job, in the transaction of `session`."""
    entry = await outbox.entry(ship.job(order=number))
    for statement, values in (("INSERT INTO orders VALUES (:number)", {"number": number}), entry):
        answer = session.execute(text(statement), values)
        if asyncio.iscoroutine(answer):
            await answer


def _left(database: sqlalchemy.Engine) -> int:
    with database.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM aiojobs_outbox")).scalar_one())


async def test_committed_orders_are_relayed_in_order_and_rolled_back_ones_are_not(
    engine: Engine, database: sqlalchemy.Engine
) -> None:
    outbox = Outbox(engine)
    for number in range(1, 31):
        with Session(database) as session:
            await _order(session, outbox, number)
            if number % 3 == 0:
                session.rollback()
            else:
                session.commit()
    relay = outbox.relay(database.raw_connection)

    assert [await relay.once(), await relay.once()] == [20, 0]
    await engine.worker(burst=True, concurrency=1).run()

    assert ran == [number for number in range(1, 31) if number % 3]
    assert _left(database) == 0


async def test_a_savepoint_that_is_rolled_back_takes_its_job_along(
    engine: Engine, database: sqlalchemy.Engine
) -> None:
    outbox = Outbox(engine)
    with Session(database) as session:
        await _order(session, outbox, 1)
        with suppress(ValueError), session.begin_nested():
            await _order(session, outbox, 2)
            raise ValueError("no")
        await _order(session, outbox, 3)
        session.commit()

    await outbox.relay(database.raw_connection).once()
    await engine.worker(burst=True, concurrency=1).run()

    assert ran == [1, 3]


async def test_an_async_engine_writes_entries_and_a_sync_one_relays_them(
    engine: Engine, database: sqlalchemy.Engine, tmp_path: Path
) -> None:
    outbox = Outbox(engine)
    writer: AsyncEngine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/app.db")
    for number in range(1, 7):
        async with writer.connect() as connection:
            await _order(connection, outbox, number)
            await (connection.rollback() if number % 2 else connection.commit())
    await writer.dispose()

    await outbox.relay(database.raw_connection).once()
    await engine.worker(burst=True, concurrency=1).run()

    assert ran == [2, 4, 6]


async def test_relays_that_work_at_the_same_time_bring_each_order_once(
    engine: Engine, database: sqlalchemy.Engine
) -> None:
    outbox = Outbox(engine)
    with Session(database) as session:
        for number in range(1, 301):
            await _order(session, outbox, number)
        session.commit()

    await asyncio.gather(*[outbox.relay(database.raw_connection).once() for _ in range(3)])
    await engine.worker(burst=True, concurrency=1).run()

    assert ran == list(range(1, 301))
    assert _left(database) == 0


@pytest.mark.timeout(120)
async def test_a_relay_and_a_writer_that_are_killed_lose_nothing_and_double_nothing(
    engine: Engine, database: sqlalchemy.Engine, tmp_path: Path
) -> None:
    for _ in range(KILLS):
        programs = [
            subprocess.Popen(
                [sys.executable, str(PROGRAM), str(tmp_path), role], stdout=subprocess.PIPE, text=True
            )
            for role in ("write", "relay")
        ]
        try:
            for program in programs:
                assert program.stdout is not None
                assert [program.stdout.readline() for _ in range(3)] == ["done\n"] * 3
        finally:
            for program in programs:
                program.send_signal(signal.SIGKILL)
                program.communicate()

    relay = Outbox(engine).relay(database.raw_connection)
    while await relay.once():
        pass
    with database.connect() as connection:
        orders = list(connection.execute(text("SELECT number FROM orders ORDER BY rowid")).scalars())
    jobs = [job.id async for job in engine.jobs.list(limit=1000)]
    assert len(orders) >= KILLS * 3
    assert [int(job_id.removeprefix("order-")) for job_id in reversed(jobs)] == orders
