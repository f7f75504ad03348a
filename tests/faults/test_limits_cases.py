"""Cases that need a process of their own: limits of the system, a fork, many jobs, large payloads."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.faults import exhausted_program, forked_program, scale_program

BOUND = 50
MEGABYTE = 1_000_000


def _told(program: ModuleType, *words: str) -> Any:
    command = [sys.executable, str(program.__file__), *words]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.case("W19")
def test_without_descriptors_an_engine_says_so_and_a_worker_goes_on_when_there_are_some(
    tmp_path: Path,
) -> None:
    told = _told(exhausted_program, "descriptors", str(tmp_path))

    assert told["refused"].startswith(f"BackendUnavailable: {tmp_path / 'jobs.db'} can't be opened: ")
    assert "Too many open files" in told["refused"]
    assert all("Too many open files" in error for error in told["errors"])
    assert (told["ended meanwhile"], told["after"], told["crashes"]) == (0, ["completed"], 0)
    assert told["health"] == []


@pytest.mark.case("W19")
def test_without_threads_jobs_that_need_one_fail_an_attempt_and_keep_no_slot(tmp_path: Path) -> None:
    told = _told(exhausted_program, "threads", str(tmp_path))

    assert told["errors"] == ["can't start new thread"]
    assert (told["ended meanwhile"], told["after"], told["crashes"]) == (0, ["completed"], 0)
    assert told["health"] == []


@pytest.mark.case("W20")
def test_an_engine_refuses_every_use_in_a_fork_of_its_process_and_goes_on_in_the_process(
    tmp_path: Path,
) -> None:
    told = _told(forked_program, str(tmp_path))

    assert told["code"] == 0
    assert told["child"]["raised"] == dict.fromkeys(forked_program.USES, "ForkedEngineError")
    assert told["child"]["anew"] == 49
    assert told["parent"] == [4, 9]


@pytest.mark.case("J9")
def test_a_backlog_of_a_hundred_thousand_jobs_weighs_on_a_worker_no_more_than_an_idle_one(
    tmp_path: Path,
) -> None:
    told = _told(scale_program, "backlog", str(tmp_path))

    assert told["grown"] <= 32 * MEGABYTE
    assert told["held"] <= scale_program.CONCURRENCY + 500  # what may be claimed ahead
    assert sum(told["left"].values()) == scale_program.BACKLOG + 1
    assert set(told["left"]) == {"pending", "completed"}


@pytest.mark.case("J11")
def test_ten_thousand_jobs_due_at_once_hold_the_loop_up_for_less_than_200_ms(tmp_path: Path) -> None:
    told = _told(scale_program, "due", str(tmp_path))

    assert told["counts"] == {"completed": scale_program.DUE}
    assert told["lag"] < 0.2


@pytest.mark.case("J3")
def test_a_payload_of_10_mb_holds_the_loop_up_for_less_than_100_ms(tmp_path: Path) -> None:
    told = _told(scale_program, "large", str(tmp_path))

    assert told["same"]
    assert told["lag"] < 0.1
