"""28,298 real airports from a CSV file into an SQLite table; rows that break a rule are told one by one."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec

from aiojobs_engine import Engine, JobContext

HERE = Path(__file__).parent
TABLE = "airports.db"

CREATE = """
CREATE TABLE IF NOT EXISTS airports (
    icao TEXT PRIMARY KEY, name TEXT, city TEXT, country TEXT, elevation REAL, lat REAL, lon REAL, tz TEXT
)
"""
UPSERT = """
INSERT INTO airports VALUES (:icao, :name, :city, :country, :elevation, :lat, :lon, :tz)
ON CONFLICT (icao) DO UPDATE SET
    name = excluded.name, city = excluded.city, country = excluded.country,
    elevation = excluded.elevation, lat = excluded.lat, lon = excluded.lon, tz = excluded.tz
"""

Name = Annotated[str, msgspec.Meta(pattern=r"^\S+( \S+)*$", max_length=60)]


class Airport(msgspec.Struct):
    """A row of the file. Other columns are left out.

    Four letters or digits make an ICAO code; names have single spaces and fit the label; nobody lands below
    the Dead Sea, or above Daocheng Yading (in feet).
    """

    icao: Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{4}$")]
    name: Name
    city: str
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    elevation: Annotated[float, msgspec.Meta(ge=-1_412, le=14_472)]
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    tz: str


engine = Engine("sqlite:///jobs.db")


@engine.importer("airports", row=Airport, key="icao")
def import_airports(ctx: JobContext, rows: list[Airport]) -> None:
    with closing(sqlite3.connect(TABLE, timeout=30)) as database, database:
        database.executemany(UPSERT, [msgspec.structs.asdict(row) for row in rows])
    ctx.logger.info("%d airports stored", len(rows))


async def main() -> None:
    with closing(sqlite3.connect(TABLE)) as database:
        database.execute(CREATE)
    async with engine.running():
        handle = await engine.dispatch(import_airports, HERE / "airports.csv")
        async for event in handle.events():
            print(f"{event.processed:,} of {event.total:,} airports")
        job = await handle.status()
        print(f"{job.status}: {job.succeeded:,} imported, {job.failed:,} failed")
        async for failure in engine.failures.list(job.id):
            print(f"  row {failure.row_number:,}: {failure.row_key}: {failure.message} ({failure.field})")


if __name__ == "__main__":
    asyncio.run(main())
