"""The short form of `benchmarks/kills.py`: workers under load on one SQLite file, killed again and again."""

from typing import Any

import pytest

from tests.faults import kill_scripts


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("kills")
    return kill_scripts.report("kills.py", folder, kills=20, stops=4, drains=2, lease=2, every=0.7)


@pytest.mark.timeout(240)
def test_no_acknowledged_job_is_lost_and_none_finishes_twice(report: dict[str, Any]) -> None:
    assert report["kills"] >= 20
    assert report["held"] > 0
    assert report["jobs"] > 0
    assert (report["broken"]["lost"], report["broken"]["doubled"]) == (0, 0), report


@pytest.mark.timeout(240)
def test_counters_are_exact_at_every_read_and_in_the_end(report: dict[str, Any]) -> None:
    assert report["imports"] > 0
    assert report["reads"] > 0
    assert kill_scripts.broken(report) == {}, report
