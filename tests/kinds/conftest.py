"""An engine on each store, in a directory of its own."""

from pathlib import Path

import pytest

from aiojobs_engine import Engine


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["memory://", "sqlite:///jobs.db"], ids=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(request.param)
