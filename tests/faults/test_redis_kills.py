"""The short form of `benchmarks/kills_redis.py`: workers and a server under load, struck again and again."""

from typing import Any

import pytest

from tests.faults import kill_scripts


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("kills")
    deeds = {"kills": 20, "stops": 4, "drains": 2, "troubles": 12}
    return kill_scripts.report("kills_redis.py", folder, **deeds, lease=2, every=0.7)


@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_early_or_invented_whoever_dies(report: dict[str, Any]) -> None:
    assert report["kills"] >= 20
    assert sum(report["troubles"].values()) == 12
    assert report["held"] > 0
    assert report["jobs"] > 0
    assert kill_scripts.broken(report) == {}, report


@pytest.mark.timeout(300)
def test_imports_were_read_while_their_counters_moved(report: dict[str, Any]) -> None:
    assert report["imports"] > 0
    assert report["reads"] > 0
