"""What is wrong is said in one line on standard error, with what to do, and the exit code is 1 or 2."""

from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Call

URL = ("--url", "sqlite:///jobs.db")


def _is_one_line(answer: Answer, *words: str) -> bool:
    lines = answer.err.splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and all(word in lines[0] for word in words)


@pytest.mark.parametrize(
    "words, said",
    [
        (["worker", "app"], ["module:attribute", "did you mean 'app:engine'"]),
        (["worker", "app.py"], ["did you mean 'app:engine'"]),
        (["worker", "ap:engine"], ["there is no module 'ap'", "did you mean 'app'"]),
        (["worker", "app:engin"], ["module 'app' has no 'engin'", "did you mean 'engine'"]),
        (["worker", "app:number"], ["app:number is no Engine, but int"]),
        (
            ["worker", "app:broken"],
            ["app:broken was called and raised RuntimeError: no engine today", "app.py, line"],
        ),
        (
            ["worker", "missing:engine"],
            ["importing it raised ModuleNotFoundError", "nowhere", "missing.py, line 1"],
        ),
        (["worker", "crooked:engine"], ["importing it raised SyntaxError", "crooked.py, line 2"]),
        (["worker", "quitting:engine"], ["importing it raised SystemExit"]),
        (["worker"], ["there is no TARGET", "AIOJOBS_APP"]),
        (["worker", "app:engine", "-c", "0"], ["concurrency", "0"]),
        (["worker", "app:engine", "-p", "-1"], ["-1"]),
        (["worker", "app:engine", "--drain-timeout", "-1"], ["-1"]),
        (["worker", "app:engine", "--brust"], ["No such option", "--burst"]),
        (["worker", "--url", "sqlite:///jobs.db"], ["worker needs the code at TARGET", "AIOJOBS_URL"]),
        (["import", "--url", "sqlite:///jobs.db"], ["import needs the code at TARGET", "AIOJOBS_URL"]),
        (["demo", "--url", "sqlite:///jobs.db"], ["No such option", "--url"]),
        (["workker"], ["there is no command 'workker'", "did you mean 'worker'"]),
        (["jobs", "lst"], ["there is no command 'lst'", "did you mean 'list'"]),
        (["export"], ["NAME FILE", "got 0 arguments"]),
        (["dispatch", "app:engine"], ["NAME is missing"]),
        (["dispatch", "app:engine", "gret"], ["no job type is named 'gret'", "did you mean 'greet'"]),
        (["dispatch", "app:engine", "greet", "{name: 1}"], ["JSON object", "{name: 1}"]),
        (["dispatch", "app:engine", "greet", "[1]"], ["JSON object", "[1]"]),
        (["dispatch", "app:engine", "greet", "NaN"], ["JSON object"]),
        (["dispatch", "app:engine", "greet", "[" * 100_000], ["JSON object"]),
        (["dispatch", "app:engine", "greet", "{}"], ["greet", "name"]),
        (["dispatch", "app:engine", "greet", '{"name": 1}'], ["greet", "name"]),
        (["dispatch", "app:engine", "greet", '{"namee": "Ada"}'], ["namee", "did you mean 'name'"]),
        (["dispatch", "app:engine", "greet", '{"name": "Ada"}', "--delay", "-1"], ["delay", "-1"]),
        (
            ["dispatch", "app:engine", "greet", '{"name": "Ada"}', "--queue", "my queue"],
            ["queue", "my queue"],
        ),
        (["dispatch", "app:engine", "greet", "{}", "more", "words"], ["too many arguments"]),
        (["dispatch", "app:forgetful", "greet", "{}"], ["memory://", "sqlite:///jobs.db"]),
        (["import", "app:forgetful", "people", "one.csv"], ["memory://", "sqlite:///jobs.db"]),
        (
            ["dispatch", "app:engine", "people", "{}"],
            ["people is an importer", "import app:engine people FILE"],
        ),
        (["import", "app:engine", "people", "nowhere.csv"], ["there is no file 'nowhere.csv'"]),
        (["import", "app:engine", "peeple", "app.py"], ["no job type is named 'peeple'", "'people'"]),
        (["import", "app:engine", "greet", "app.py"], ["'greet' is no importer but a job", "people"]),
        (["import", "app:engine", "people"], ["there is no file 'people'"]),
        (["import", "people"], ["[TARGET] NAME FILE"]),
        (["import", "app:engine", "people", "one.csv", "--map", "email"], ["COLUMN=field", "'email'"]),
        (["import", "app:engine", "people", "one.csv", "--map", "Mail=emial"], ["emial", "email"]),
        (["import", "app:engine", "people", "one.csv", "--chunk-size", "0"], ["chunk-size", "0"]),
        (["jobs", "show", *URL], ["ID is missing"]),
        (["jobs", "show", "a", "b", *URL], ["one ID is wanted"]),
        (["jobs", "list", *URL, "--status", "complete"], ["'complete'", "did you mean 'completed'"]),
        (["jobs", "list", *URL, "--limit", "0"], ["limit", "0"]),
        (["jobs", "list", *URL, "--cursor", "nonsense"], ["cursor"]),
        (["jobs", "list", "app:engine", *URL], ["TARGET or --url, not both"]),
        (["jobs", "purge", *URL, "--status", "pending"], ["pending"]),
        (["jobs", "list", "--url", "sqlite:///nowhere.db"], ["there is no database", "nowhere.db"]),
        (["jobs", "list"], ["there is no database", "aiojobs.db", "TARGET"]),
        (["jobs", "list", "--url", "sqlit:///jobs.db"], ["sqlit", "did you mean 'sqlite'"]),
        (["jobs", "list", "--url", "jobs.db"], ["jobs.db", "sqlite:///jobs.db"]),
        (["dead", "replay", *URL], ["--all"]),
        (["dead", "replay", "x", "--all", *URL], ["name IDs, or say which"]),
        (["queues", "resume", "male", *URL], ["there is no queue 'male'", "did you mean 'mail'"]),
        (["queues", "pause", "my queue", *URL], ["my queue"]),
        (["events", *URL, "--after", "nonsense"], ["cursor"]),
        (["health", "--url", "sqlite:///nowhere.db"], ["there is no database"]),
        (["init", "app.py"], ["'app.py' is a file"]),
        (["demo", "--file", "nowhere.csv"], ["there is no file 'nowhere.csv'"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_wrong_usage_exits_2(call: Call, home: Path, words: list[str], said: list[str]) -> None:
    (home / "missing.py").write_text("import nowhere_to_be_found\n")
    (home / "crooked.py").write_text("x = 1\ndef\n")
    (home / "quitting.py").write_text("import sys\nsys.exit(3)\n")
    (home / "one.csv").write_text("email,age\na@x,1\n")
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')

    answer = call(*words)

    assert answer.code == 2, answer
    assert _is_one_line(answer, *said), answer.err
    assert answer.out == ""


@pytest.mark.parametrize("words", [[], ["jobs"], ["failures"], ["queues"], ["dead"], ["cron"], ["limits"]])
def test_no_command_shows_the_help_as_it_is_on_standard_error(call: Call, words: list[str]) -> None:
    answer = call(*words)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: ")
    assert answer.err == call(*words, "--help").out


@pytest.mark.parametrize(
    "words, said",
    [
        (["jobs", "show", "nobody", *URL], ["'nobody' is not stored"]),
        (["dead", "show", "nobody", *URL], ["'nobody' is not stored"]),
        (["dead", "replay", "nobody", *URL], ["'nobody' is not stored"]),
        (["failures", "list", "nobody", *URL], ["'nobody' is not stored"]),
        (["failures", "export", "nobody", *URL], ["'nobody' is not stored"]),
        (["failures", "retry", "app:engine", "nobody"], ["'nobody' is not stored"]),
        (["jobs", "delete", "nobody", *URL], ["'nobody' is not stored"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_what_is_not_there_exits_1(call: Call, words: list[str], said: list[str]) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')

    answer = call(*words)

    assert answer.code == 1, answer
    assert _is_one_line(answer, *said), answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("AIOJOBS_WORKER__CONCURRENCYS", "5", "worker.concurrencys"),
        ("AIOJOBS_WORKER__CONCURRENCY", "many", "worker.concurrency"),
        ("AIOJOBS_CONFIG", "nowhere.toml", "nowhere.toml"),
    ],
)
def test_a_wrong_setting_exits_2(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)

    answer = call("worker", "app:engine", "--burst")

    assert answer.code == 2
    assert _is_one_line(answer, said), answer.err


def test_a_foreign_file_in_the_place_of_the_database_is_named(call: Call, home: Path) -> None:
    (home / "other.db").write_text("not a database, but long enough to look like one " * 100)

    answer = call("jobs", "list", "--url", "sqlite:///other.db")

    assert answer.code in (1, 2)
    assert _is_one_line(answer, "other.db"), answer.err


def test_a_wait_that_takes_too_long_exits_1(call: Call) -> None:
    answer = call("dispatch", "app:engine", "greet", '{"name": "Ada"}', "--wait", "--timeout", "0.1")

    assert answer.code == 1
    assert answer.out == ""
    assert "no worker serves queue 'mail' yet; start one:" in answer.err
    assert "has not ended in 0.1 s; it goes on" in answer.err.splitlines()[-1]


def test_an_error_shows_its_traceback_when_asked(call: Call) -> None:
    assert "Traceback" in call("--traceback", "worker", "app:broken").err


@pytest.mark.parametrize(
    "words", [["--help"], ["jobs", "--help"], ["worker", "--help"], ["jobs", "list", "-h"], ["--version"]]
)
def test_help_is_data(call: Call, words: list[str]) -> None:
    answer = call(*words)

    assert answer.code == 0
    assert answer.out
    assert answer.err == ""


def test_without_a_command_the_commands_are_listed(call: Call) -> None:
    answer = call()

    assert answer.code == 2
    assert "dispatch" in answer.err


def test_init_overwrites_nothing(call: Call, home: Path) -> None:
    before = (home / "app.py").read_text()

    assert _is_one_line(call("init"), "app.py")
    assert (home / "app.py").read_text() == before
