"""The short forms of the scripts that kill."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def report(script: str, folder: Path, *flags: str, **deeds: float) -> dict[str, Any]:
    """What `benchmarks/<script>` says of a run of so many deeds."""
    options = [word for name, number in deeds.items() for word in (f"--{name}", str(number))]
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *options, *flags, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert ran.stdout, ran.stderr
    read: dict[str, Any] = json.loads(ran.stdout)
    return read


def broken(report: dict[str, Any]) -> dict[str, int]:
    """The laws that were broken, and how often."""
    return {law: count for law, count in report["broken"].items() if count}
