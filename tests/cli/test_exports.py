"""`export`: the file, the exit code, and what is said on the way."""

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Spawn, ended

EXPORTER = """
from collections.abc import AsyncIterator


@engine.exporter("numbers", columns=["n", "text"], retry=Retry.none())
async def numbers(count: int = 3, breaks: bool = False) -> AsyncIterator[dict[str, object]]:
    for n in range(count):
        yield {"n": n, "text": f"number {n}"}
    if breaks:
        raise LookupError("no more numbers")
"""


@pytest.fixture(autouse=True)
def _with_exporter(home: Path) -> None:
    with (home / "app.py").open("a") as app:
        app.write(EXPORTER)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_an_export_is_dispatched_and_run(call: Call, home: Path) -> None:
    (home / "out").mkdir()
    answer = call("export", "app:engine", "numbers", "out/../n.csv", '{"count": 2}', "--user", "7")
    assert (answer.code, answer.err) == (0, "")
    assert call("worker", "app:engine", "--burst").code == 0
    assert rows(home / "n.csv") == [["n", "text"], ["0", "number 0"], ["1", "number 1"]]
    shown = call("jobs", "show", answer.out.strip(), "--url", "sqlite:///jobs.db", "--json").data
    assert (shown["kind"], shown["status"], shown["processed"], shown["user_id"]) == (
        "export",
        "completed",
        2,
        7,
    )
    assert shown["result"]["path"] == str(home / "n.csv")


def test_waiting_tells_of_the_file(call: Call, spawn: Spawn, home: Path) -> None:
    worker = spawn("worker", "app:engine")
    waited = ended(spawn("export", "app:engine", "numbers", "n.jsonl", '{"count": 1500}', "--wait"))
    assert waited.code == 0, waited.err
    size = (home / "n.jsonl").stat().st_size
    assert f"1,500 rows, {size / 1000:,.1f} kB, in {home / 'n.jsonl'}" in waited.err
    as_json = ended(spawn("export", "app:engine", "numbers", "n.csv", "--wait", "--json"))
    assert (as_json.data["status"], as_json.data["total"]) == ("completed", 3)
    failed = ended(spawn("export", "app:engine", "numbers", "no.csv", '{"breaks": true}', "--wait"))
    assert failed.code == 1
    assert "there is no file\nerror: no more numbers" in failed.err
    assert not (home / "no.csv").exists()
    worker.terminate()
    assert ended(worker).code == 0


def test_the_id_is_told_as_json_too(call: Call) -> None:
    answer = call("export", "app:engine", "numbers", "n.csv", "--json")
    assert answer.data["created"] is True


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("numbers",), 2, "[TARGET] NAME FILE [JSON] is wanted"),
        (("app:engine", "numbers", "n.pdf"), 2, "an export is written as .csv"),
        (("app:engine", "numbers", "nowhere/n.csv"), 2, "there is no directory"),
        (("app:engine", "numbers", "n.csv", '{"cont": 1}'), 2, "did you mean 'count'"),
        (("app:engine", "numbers", "n.csv", "[1]"), 2, "a JSON object"),
        (("app:engine", "greet", "n.csv"), 2, "'greet' is no exporter but a job; exporters are numbers"),
        (("app:engine", "numbrs", "n.csv"), 2, "did you mean 'numbers'"),
        (("numbers", "n.csv", '{"count": 1}'), 2, "there is no TARGET"),
    ],
)
def test_wrong_words_are_told_in_a_line(call: Call, words: tuple[str, ...], code: int, said: str) -> None:
    answer = call("export", *words)
    assert said in answer.err
    assert (answer.code, answer.out) == (code, "")
    assert "Traceback" not in answer.err


def test_dispatch_takes_an_exporter_too(call: Call, home: Path) -> None:
    answer = call("dispatch", "app:engine", "numbers", '{"to": "n.csv", "count": 1}')
    assert answer.code == 0, answer.err
    assert call("worker", "app:engine", "--burst").code == 0
    assert len(rows(home / "n.csv")) == 2
