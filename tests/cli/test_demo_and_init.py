"""The first two commands that a user tries."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call

DATA = Path(__file__).parents[2] / "examples/airports/airports.csv"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo puts its directory."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


def test_the_demo_imports_the_airports_and_lists_the_rows_that_fail(call: Call, scratch: Path) -> None:
    demo = call("demo", "--file", str(DATA))

    assert demo.code == 0, demo.err
    assert "28,298 of 28,298 rows" in demo.err
    assert "partial: 28,273 of 28,298 rows imported, 25 failed" in demo.out
    assert "1,036" in demo.out
    assert "stray spaces in 'Earl L Small Jr  Field/Stockmar Airport'" in demo.out
    assert "… and 5 more:" in demo.out
    lines = DATA.read_text(encoding="utf-8").splitlines()
    assert lines[1035].startswith('"20GA"')
    (directory,) = scratch.iterdir()
    rows = [row for file in (directory / "airports").iterdir() for row in file.read_bytes().splitlines()]
    assert len(rows) == 28_273


def test_the_commands_that_the_demo_prints_work(call: Call, scratch: Path) -> None:
    demo = call("demo", "--file", str(DATA))
    look = next(line for line in demo.out.splitlines() if line.startswith("look at it")).split("jobs show ")[
        1
    ]
    failed = next(line for line in demo.out.splitlines() if line.startswith("failed rows")).split(
        "failures list "
    )[1]

    job = call("jobs", "show", *look.split(), "--json").data
    rows = call("failures", "list", *failed.split(), "--json", "--all").data

    assert (job["status"], job["kind"], job["strategy"]) == ("partial", "import", "batch")
    assert (job["total"], job["succeeded"], job["failed"]) == (28_298, 28_273, 25)
    assert len(rows) == 25
    assert {row["field"] for row in rows} == {"icao", "name"}


def test_the_demo_leaves_the_working_directory_as_it_was(call: Call, home: Path, scratch: Path) -> None:
    (home / "few.csv").write_text(
        "".join(DATA.read_text(encoding="utf-8").splitlines(keepends=True)[:9]), encoding="utf-8"
    )
    before = sorted(path.name for path in home.iterdir())

    demo = call("demo", "--file", "few.csv")

    assert "completed: 8 of 8 rows imported, 0 failed" in demo.out
    assert sorted(path.name for path in home.iterdir()) == before


def test_what_init_writes_passes_its_tests_and_runs(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = call("init", "shop")
    shop = home / "shop"
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=shop, capture_output=True, text=True, check=False,
    )  # fmt: skip
    alone = subprocess.run([sys.executable, "app.py"], cwd=shop, capture_output=True, text=True, check=False)

    assert made.out.split() == [
        f"shop/{name}" for name in ("app.py", "test_app.py", "aiojobs.toml", "people.csv", ".gitignore")
    ]
    assert "3 passed" in tests.stdout, tests.stdout
    assert (alone.returncode, alone.stdout) == (0, "Hello, Ada!\n")


def test_the_commands_that_init_prints_work(call: Call, home: Path) -> None:
    (home / "app.py").unlink()
    printed = call("init").err
    assert all(
        word in printed
        for word in (
            "dispatch",
            "import people people.csv",
            "export people_export out.csv",
            "worker --burst",
            "jobs list",
        )
    )

    greeted = call("dispatch", "app.greet", '{"name": "Ada"}').out.strip()
    imported = call("import", "people", "people.csv").out.strip()
    exported = call("export", "people_export", "out.csv").out.strip()
    assert call("worker", "--burst").code == 0

    jobs = {job["id"]: job["status"] for job in call("jobs", "list", "--json").data}
    assert jobs == {greeted: "completed", imported: "partial", exported: "completed"}
    assert (home / "out.csv").read_text().startswith("email,name,age")


def test_the_parts_of_all_kinds_fit_into_an_app_that_is_there(call: Call, home: Path) -> None:
    app = before = (home / "app.py").read_text()
    modules = {
        "import": "imports",
        "export": "exports",
        "sync": "syncs",
        "report": "reports",
        "job": "jobs",
        "tidy-up": "tidy_up_jobs",
    }
    for kind, module in modules.items():
        made = call("init", "--kind", kind)
        assert made.out.split() == [f"{module}.py", f"test_{module}.py"]
        assert (home / "app.py").read_text() == before
        app += made.err.split("add to your app:\n")[1]
        assert call("init", "--kind", kind).code == 2
    (home / "app.py").write_text(app)
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "6 passed" in tests.stdout, tests.stdout
    kinds = {row["kind"] for row in call("types", "app:engine", "--json").data}
    assert kinds == set(modules)


@pytest.mark.parametrize(
    "kind, said",
    [("imprt", "did you mean 'import'"), ("no kind", "a kind"), ("9", "begin the kind with a letter")],
)
def test_what_can_be_no_kind_is_refused(call: Call, home: Path, kind: str, said: str) -> None:
    before = sorted(path.name for path in home.iterdir())
    refused = call("init", "--kind", kind)
    assert refused.code == 2
    assert said in refused.err
    assert sorted(path.name for path in home.iterdir()) == before
