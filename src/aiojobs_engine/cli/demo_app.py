"""What `demo` runs: real airports, checked row by row, into a folder of JSON lines."""

import re
from pathlib import Path
from typing import Annotated

import msgspec

from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.core.config import ListenerSettings, Settings, StorageSettings
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.context import JobContext

NAME = "airports"

_TANGLED = re.compile(r"^\s|\s$|\s\s")


class Airport(msgspec.Struct):
    """A row of the file; what doesn't fit these types is a failed row."""

    icao: Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{4}$")]
    name: str
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    elevation: float
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    tz: str
    iata: str = ""
    city: str = ""
    subd: str = ""
    lid: str = ""


def engine_in(directory: Path) -> tuple[Engine, ImportType[Airport]]:
    """An engine whose database, rows and output lie in `directory`, and its importer."""
    settings = Settings(
        url=f"sqlite:///{directory.absolute() / 'jobs.db'}",
        storage=StorageSettings(path=str(directory / "rows")),
        listeners=ListenerSettings(log=False),
    )
    engine = Engine(config=settings)
    output = directory / NAME

    @engine.importer(NAME, row=Airport, key="icao")
    def import_airports(ctx: JobContext, rows: list[Airport]) -> None:
        good: list[Airport] = []
        for row in rows:
            if _TANGLED.search(row.name):
                ctx.fail_row(row, f"stray spaces in {row.name!r}", field="name")
            else:
                good.append(row)
        output.mkdir(exist_ok=True)
        (output / f"{ctx.id}.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in good))

    return engine, import_airports


def here() -> Engine:
    """The engine of the working directory: what the demo's worker is started with."""
    return engine_in(Path.cwd())[0]
