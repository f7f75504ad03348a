"""An engine on each store, rows to export, and files to read again."""

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiojobs_engine import Engine, ExportedFile, JobStatus


class User(msgspec.Struct):
    email: str
    age: int


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def engine(request: pytest.FixtureRequest, prefix: str) -> Engine:
    if request.param == "valkey":
        return Engine(f"{request.getfixturevalue('servers')['valkey'].url}?prefix={prefix}")
    return Engine({"memory": "memory://", "sqlite": "sqlite:///jobs.db"}[request.param])


async def exported(engine: Engine, export: Any, *args: Any, **call: Any) -> tuple[ExportedFile, JobStatus]:
    """The file of an export, and the status at its end."""
    async with engine:
        handle = await engine.dispatch(export, *args, **call)
        await engine.worker(burst=True).run()
        status = await handle.status()
        file: ExportedFile = await handle.result(timeout=0)
    return file, status


def rows_of(path: str | Path) -> list[list[str]]:
    """The cells of a CSV file, with its header."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def left_in(directory: Path) -> list[str]:
    """All files below a directory, without those of the store."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in found if not path.name.startswith("jobs.db"))
