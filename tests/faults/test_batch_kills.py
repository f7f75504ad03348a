"""The short form of `benchmarks/batches.py`: a batch whose workers are killed starts each callback once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "batches.py"


@pytest.mark.timeout(120)
def test_each_callback_starts_once_whatever_is_killed() -> None:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "--members", "1500", "--kills", "6"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stdout, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["is_right"], report
    assert report["batch"] == ["partial", 1485, 15]
    assert set(report["starts_of_callbacks"]) == {"catch", "finally"}
