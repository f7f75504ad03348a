"""Writes orders and their jobs by SQLAlchemy, or relays them, until it is killed. Arguments: folder, role."""

import asyncio
import itertools
import sys
from pathlib import Path

import sqlalchemy
from sqlalchemy import text
from sqlalchemy.orm import Session

from aiojobs_engine import Engine, JobRegistry, Outbox

registry = JobRegistry()


@registry.job(name="ship")
async def ship(order: int) -> None: ...


def done() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


async def main(folder: Path, role: str) -> None:
    database = sqlalchemy.create_engine(f"sqlite:///{folder}/app.db", connect_args={"timeout": 30})
    async with Engine(f"sqlite:///{folder}/jobs.db", registry=registry) as engine:
        outbox = Outbox(engine)
        if role == "relay":
            relay = outbox.relay(database.raw_connection)
            while True:
                if await relay.once():
                    done()
        with database.connect() as connection:
            last = connection.execute(text("SELECT coalesce(max(number), 0) FROM orders")).scalar_one()
        for number in itertools.count(last + 1):
            entry = await outbox.entry(ship.options(id=f"order-{number}").job(order=number))
            for is_kept in (False, True):
                with Session(database) as session:
                    session.execute(text("INSERT INTO orders VALUES (:number)"), {"number": number})
                    session.execute(text(entry.sql), entry.values)
                    session.commit() if is_kept else session.rollback()
            done()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
