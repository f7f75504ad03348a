"""W5: a process that dies at any point of a finalize leaves the state before it or the state after it."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.faults import sweep_program


async def _opened(path: Path) -> Stage:
    clock = ManualClock()
    store = SqliteBackend(path, clock=clock, durability="normal")
    await store.open()
    return Stage(store, clock)


async def _template(folder: Path) -> None:
    """Four runs and the last two chunks of a bulk job under way, as `template.db` with `claims.json`."""
    stage = await _opened(folder / "template.db")
    claims = await stage.spawn("bulk", 2)
    await stage.put("well", "again", "never", "back")
    claims += await stage.take()
    (folder / "claims.json").write_bytes(msgspec.json.encode(claims))
    await stage.backend.close()


async def _picture(path: Path) -> object:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    stage = await _opened(path)
    picture = await stage.picture()
    await stage.backend.close()
    return picture


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each death left behind, `template.db` before and `counted.db` after the finalize."""
    folder = tmp_path_factory.mktemp("sweep")
    asyncio.run(_template(folder))
    subprocess.run([sys.executable, sweep_program.__file__, str(folder)], check=True, timeout=50)
    return folder


@pytest.mark.case("W5")
async def test_a_death_at_any_point_of_a_finalize_leaves_the_state_before_or_after_it(swept: Path) -> None:
    before, after = await _picture(swept / "template.db"), await _picture(swept / "counted.db")
    died = {hook: sorted(swept.glob(f"{hook}-*.db")) for hook in ("statement", "step")}
    pictures = {path.name: await _picture(path) for paths in died.values() for path in paths}

    assert before != after
    assert [name for name, picture in pictures.items() if picture not in (before, after)] == []
    assert list(pictures.values()).count(after) >= 2  # those that got through
    assert list(pictures.values()).count(before) >= 10
    assert len(died["statement"]) >= 5
    assert len(died["step"]) >= sweep_program.STEPS


@pytest.mark.case("W5")
@pytest.mark.parametrize("left_by", ["statement-1", "statement-4", "counted"])
async def test_a_finalize_that_is_repeated_after_a_death_counts_once(swept: Path, left_by: str) -> None:
    stage = await _opened(swept / f"{left_by}.db")
    claims = msgspec.json.decode((swept / "claims.json").read_bytes(), type=list[Claim])

    again = sweep_program.settlements(stage, claims)
    assert await stage.backend.settle(again) == [True] * len(again)

    statuses = await stage.is_at("well", "again", "never", "back", "bulk")
    parent = await stage.status("bulk")
    told = await stage.told("well")
    failures = await stage.failures("bulk")
    await stage.backend.close()
    assert statuses == [Status.COMPLETED, Status.RETRYING, Status.FAILED, Status.PENDING, Status.PARTIAL]
    assert (parent.succeeded, parent.failed, parent.total) == (19, 1, 20)
    assert [failure.attempts for failure in failures] == [1]
    assert told == ["JobCreated", "JobStarted", "JobCompleted"]
