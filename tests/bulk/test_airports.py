"""The example with real rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.examples.programs import run


def test_the_airports_are_imported_and_those_that_break_a_rule_are_told(tmp_path: Path) -> None:
    printed = run("airports/import_airports.py", tmp_path)
    assert "28,298 of 28,298 airports\npartial: 28,266 imported, 32 failed\n" in printed
    told = [line for line in printed.splitlines() if line.startswith("  row ")]
    assert len(told) == 32
    assert "  row 22,510: SPFA: Expected `float` <= 14472.0, got '14809' (elevation)" in told
    with closing(sqlite3.connect(tmp_path / "airports.db")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT icao) FROM airports").fetchone() == (
            28_266,
            28_266,
        )
