"""An engine on each store whose imports are cut small, and files to import."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import Engine, JobStatus, Retry

WriteCsv = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["memory://", "sqlite:///jobs.db", "redis"], ids=["memory", "sqlite", "redis"])
def engine(request: pytest.FixtureRequest) -> Engine:
    url = request.getfixturevalue("valkey_url") if request.param == "redis" else request.param
    return Engine(url, config={"chunking": {"size": 5, "threshold": 10}})


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    def write(rows: Iterable[Any] | int, name: str = "users.csv") -> Path:
        given = [f"{n}@b,{n}" for n in range(1, rows + 1)] if isinstance(rows, int) else list(rows)
        path = tmp_path / name
        path.write_text("\n".join(["email,age", *given]) + "\n")
        return path

    return write


ONE_ATTEMPT = Retry.none()


async def work(engine: Engine) -> None:
    """Run a worker until nothing is left to do."""
    await engine.worker(burst=True).run()


def counts(status: JobStatus) -> tuple[int, int, int, int]:
    """What the law is about: processed is succeeded and failed together, and no more than the total."""
    assert status.processed == status.succeeded + status.failed
    assert status.processed <= status.total
    return status.succeeded, status.failed, status.skipped, status.total
