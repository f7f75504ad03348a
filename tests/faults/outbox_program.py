"""Writes orders and their jobs without end, or relays them, until it is killed. Arguments: folder, role."""

import asyncio
import itertools
import sqlite3
import sys
from pathlib import Path

from aiojobs_engine import Engine, JobRegistry, Outbox

registry = JobRegistry()


@registry.job(name="ship")
async def ship(order: int) -> None: ...


async def main(folder: Path, role: str) -> None:
    async with Engine(f"sqlite:///{folder}/jobs.db", registry=registry) as engine:
        outbox = Outbox(engine)
        if role == "relay":
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await outbox.relay(lambda: sqlite3.connect(folder / "app.db", timeout=30)).run(every=0.01)
        connection = sqlite3.connect(folder / ("jobs.db" if role == "inside" else "app.db"), timeout=30)
        (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM orders").fetchone()
        for number in itertools.count(last + 1):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO orders VALUES (?)", (number,))
            job = ship.options(id=f"{role}-{number}").job(number)
            if role == "inside":
                await engine.dispatch_in(connection, job)
            else:
                connection.execute(*await outbox.entry(job))
            if number % 3 == 0:
                connection.execute("INSERT INTO orders VALUES (-1)")
                connection.rollback()
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO orders VALUES (?)", (number,))
                if role == "inside":
                    await engine.dispatch_in(connection, job)
                else:
                    connection.execute(*await outbox.entry(job))
            connection.commit()
            if number == last + 1:
                sys.stdout.write("ready\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
