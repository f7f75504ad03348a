"""The short form of `benchmarks/kills_redis.py`: workers and a server under load, struck again and again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills_redis.py"
DEEDS = [
    "--kills",
    "20",
    "--stops",
    "4",
    "--drains",
    "2",
    "--troubles",
    "12",
    "--lease",
    "2",
    "--every",
    "0.7",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), *DEEDS, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("kills"))},
    )
    assert ran.stdout, ran.stderr
    read: dict[str, Any] = json.loads(ran.stdout)
    return read


@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_early_or_invented_whoever_dies(report: dict[str, Any]) -> None:
    assert report["kills"] >= 20
    assert sum(report["troubles"].values()) == 12
    assert report["held"] > 0
    assert report["jobs"] > 0
    assert {law: count for law, count in report["broken"].items() if count} == {}, report


@pytest.mark.timeout(300)
def test_imports_were_read_while_their_counters_moved(report: dict[str, Any]) -> None:
    assert report["imports"] > 0
    assert report["reads"] > 0
