"""The short form of `benchmarks/import_kills.py`: an import whose worker is killed again and again."""

import pytest

from tests.faults import kill_scripts


@pytest.mark.case("J16")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_killed_workers_lose_no_row_and_repeat_only_what_the_store_gave_out_again(
    store: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    given = {"rows": 30_000, "every": 1.0, "reads": 100, "pause": 0.3, "lease": 1}
    flags = ["--redis"] if store == "redis" else []
    report = kill_scripts.report("import_kills.py", folder, *flags, **given)

    assert kill_scripts.broken(report) == {}, report
    assert report["kills"] >= 1
    assert report["chunks"] == 30
    assert 0 < report["again"] <= report["retried"] * report["kills"]
