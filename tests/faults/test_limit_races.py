"""The short form of `benchmarks/limits.py`: worker processes in a race for limited slots, rates and turns."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "limits.py"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "--workers", "8", "--jobs", "200", "--seconds", "5", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("limits"))},
    )
    assert ran.stdout, ran.stderr
    read: dict[str, Any] = json.loads(ran.stdout)
    return read


@pytest.mark.timeout(240)
def test_never_do_more_run_than_a_cap_allows_and_all_slots_are_used(report: dict[str, Any]) -> None:
    assert report["capped"]["over"] == []
    assert report["capped"]["most"] == report["capped"]["caps"]


@pytest.mark.timeout(240)
def test_never_do_more_start_than_a_rate_allows(report: dict[str, Any]) -> None:
    assert report["rated"]["bucket"] <= 1.02
    assert report["rated"]["most in a window"] <= 1


@pytest.mark.timeout(240)
def test_turns_keep_their_bound_beside_a_flooding_key(report: dict[str, Any]) -> None:
    assert report["fair"]["late by"] <= 0
