"""What everybody writes down: JSON lines, each appended by one write, to outlive whoever is killed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

RUNS: Final = "runs.log"
DISPATCHES: Final = "dispatches.log"
DEEDS: Final = "deeds.log"
READS: Final = "reads.log"
DATABASE: Final = "jobs.db"
DUMP: Final = "dump.json"

MOST_ATTEMPTS: Final = 4
"""Of a job that fails as often as it is told to."""

MOST_CRASHES: Final = 5
"""Dead workers after which a job is buried: the engine's default."""


class Journal:
    """One file to append to; many processes may share it."""

    def __init__(self, file: Path) -> None:
        """Open it, and create it when there is none."""
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **entry: Any) -> None:
        """Append one line."""
        os.write(self._descriptor, json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def entries(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal, in the order in which they were written."""
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
