"""What people see at a terminal, with rich and without, and what programs get instead."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from aiojobs_engine import JobStatus, Status
from aiojobs_engine.cli.output import duration, shown, table_lines
from aiojobs_engine.cli.progress import Pace, progress, told
from aiojobs_engine.testing import ManualClock
from tests.cli.conftest import Call, Spawn

URL = ("--url", "sqlite:///jobs.db")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB = JobStatus(
    id="j1",
    type="people",
    kind="import",
    status=Status.WAITING,
    queue="default",
    processed=0,
    total=0,
    succeeded=0,
    failed=0,
    skipped=0,
    attempts=0,
    crashes=0,
    epoch=0,
    user_id=None,
    strategy="batch",
    priority=0,
    parent_id=None,
    message=None,
    error=None,
    result=None,
    meta={},
    tags=(),
    created_at=NOW,
    scheduled_at=None,
    started_at=NOW,
    finished_at=None,
    worker=None,
    eta_seconds=None,
)


def _at(processed: int, failed: int = 0, **changes: object) -> JobStatus:
    return msgspec.structs.replace(JOB, processed=processed, total=28_298, failed=failed, **changes)


@pytest.fixture
def on_terminal(home: Path) -> Callable[..., tuple[int, str]]:
    """Run a command on a pseudo-terminal; the exit code, and what the terminal got."""

    def run(*words: str, typed: str = "", **environment: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "aiojobs_engine", *words],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={**os.environ, "COLUMNS": "120", **environment},
            )
            os.close(theirs)
            os.write(ours, typed.encode())
            return process.wait(30), _all_of(ours)
        finally:
            os.close(ours)

    return run


def _all_of(terminal: int) -> str:
    said = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            return said.decode()
        if not more:
            return said.decode()
        said += more


def test_progress_says_rows_pace_and_eta() -> None:
    assert told(JOB, None) == "reading the rows"
    assert told(msgspec.structs.replace(JOB, started_at=None), None) == "waiting for a worker"
    assert told(_at(0), None) == "0 of 28,298 rows"
    assert told(_at(12_000, 12), 5_000.0) == "12,000 of 28,298 rows  5,000 rows/s  ETA 3s  12 failed"
    assert told(_at(28_298), 5_000.0) == "28,298 of 28,298 rows  5,000 rows/s"


async def test_the_pace_is_that_of_the_last_seconds() -> None:
    clock = ManualClock()
    pace = Pace(clock)

    assert pace.note(0) is None
    await clock.advance(1)
    assert pace.note(100) == 100.0
    for _ in range(10):
        await clock.advance(1)
        latest = pace.note(100)
    assert latest == 0.0


async def test_elsewhere_than_at_a_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()

    with progress(clock) as show:
        for processed in range(0, 28_000, 4_000):
            show(_at(processed))
            await clock.advance(1)
        show(_at(28_298, 3, finished_at=NOW))

    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "8,000 of 28,298 rows",
        "16,000 of 28,298 rows",
        "24,000 of 28,298 rows",
        "28,298 of 28,298 rows",
    ]
    assert lines[-1].endswith("3 failed")


def test_cells_are_one_harmless_line() -> None:
    assert shown("a\nb\x1b[31m\u202ec") == "a\\nb\\x1b[31m\\u202ec"
    assert [shown(value) for value in (None, True, 1_234, 0.5, NOW, ("a", "b"))] == [
        "-", "yes", "1,234", "0.5", "2026-01-02 03:04:05Z", "a, b",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (None, 4.2, 192, 7_500)] == ["-", "4s", "3m12s", "2h05m"]
    assert table_lines(("a", "number"), [["x", "1"], ["long", "22"]]) == [
        "A     NUMBER",
        "x     1",
        "long  22",
    ]


def test_an_import_shows_a_bar(
    call: Call, spawn: Spawn, home: Path, on_terminal: Callable[..., tuple[int, str]]
) -> None:
    (home / "people.csv").write_text("email,age\n" + "".join(f"a{n}@x,{n}\n" for n in range(50)))
    spawn("worker", "app:engine")

    code, screen = on_terminal("import", "app:engine", "people", "people.csv", "--wait", NO_COLOR="1")

    assert code == 0, screen
    assert "━" in screen
    assert "50 of 50 rows" in screen
    assert "\x1b[3" not in screen
    assert "completed: 50 of 50 rows are in" in screen


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_table_is_for_people_or_plain(
    call: Call, on_terminal: Callable[..., tuple[int, str]], term: str
) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')

    code, screen = on_terminal("queues", "list", *URL, TERM=term)

    assert code == 0
    assert "QUEUE" in screen
    assert ("\x1b[1m" in screen) is (term == "xterm")


def test_without_rich_everything_is_plain(
    call: Call, home: Path, on_terminal: Callable[..., tuple[int, str]]
) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')
    (home / "sitecustomize.py").write_text(
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'rich' else find(name, *more)\n"
    )

    code, screen = on_terminal("queues", "list", *URL, TERM="xterm", PYTHONPATH=str(home))

    assert code == 0
    assert screen.splitlines()[0].startswith("QUEUE  STATE")
    assert "\x1b" not in screen


@pytest.mark.parametrize("answer, left", [("n\n", 1), ("y\n", 0)])
def test_people_are_asked_before_jobs_are_removed(
    call: Call, on_terminal: Callable[..., tuple[int, str]], answer: str, left: int
) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')

    code, screen = on_terminal("queues", "purge", "mail", *URL, typed=answer)

    assert "Remove all waiting jobs of mail?" in screen
    assert code == left
    assert len(call("jobs", "list", *URL, "--json").data) == left


def test_people_are_not_asked_with_yes(call: Call, on_terminal: Callable[..., tuple[int, str]]) -> None:
    code, screen = on_terminal("jobs", "purge", "app:engine", "--yes")

    assert (code, screen.strip()) == (0, "0 jobs removed")
