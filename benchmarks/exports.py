"""Rows from a handler to a CSV file, beside a bare `csv` writer that takes the same rows."""

import filecmp
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.figures import Figure, Options, Scenario, figure, main

_RUN = Path(__file__).parent / "harness" / "export_run.py"
_TENTH = 10


async def measure(options: Options) -> list[Figure]:
    """Each round writes both files, in turn, and a tenth of the rows for the memory of it."""
    ratios: list[float] = []
    rates: list[float] = []
    peaks: list[float] = []
    growth: list[float] = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as directory:
            bare = _measured("bare", options.jobs, directory)
            ours = _measured("export", options.jobs, directory)
            # a child's peak begins with what its parent holds, so the files are not read whole here
            if not filecmp.cmp(f"{directory}/bare.csv", f"{directory}/export.csv", shallow=False):
                raise AssertionError("both must write the same file")
        with tempfile.TemporaryDirectory() as directory:
            few = _measured("export", options.jobs // _TENTH, directory)
        ratios.append(bare["seconds"] / ours["seconds"])
        rates.append(options.jobs / ours["seconds"])
        peaks.append(ours["peak_mib"])
        growth.append(ours["peak_mib"] - few["peak_mib"])
    return [
        figure("speed, over a bare csv writer", ratios, "x", at_least=0.5),
        figure("rows per second", rates, "rows/s"),
        figure("peak RSS of the process", peaks, "MiB", at_most=120),
        figure("peak RSS, over that of a tenth of the rows", growth, "MiB", at_most=5),
    ]


def _measured(how: str, rows: int, directory: str) -> dict[str, Any]:
    command = [sys.executable, str(_RUN), how, str(rows), directory]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


SCENARIO = Scenario(
    name="exports",
    about="An export of five columns with a key, from dispatch to result, on SQLite; --jobs is the rows.",
    measure=measure,
    options=Options(jobs=1_000_000, repeats=3),
    quick=Options(jobs=200_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
