"""Every command on a store with jobs in it: what it prints, and its exit code."""

import csv
import io
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Call

URL = ("--url", "sqlite:///jobs.db")
FIELDS = [
    "id",
    "type",
    "kind",
    "status",
    "queue",
    "processed",
    "total",
    "succeeded",
    "failed",
    "skipped",
    "attempts",
    "crashes",
    "epoch",
    "user_id",
    "strategy",
    "priority",
    "parent_id",
    "message",
    "error",
    "result",
    "meta",
    "tags",
    "created_at",
    "scheduled_at",
    "started_at",
    "finished_at",
    "worker",
    "eta_seconds",
]


def _work(call: Call) -> None:
    assert call("worker", "app:engine", "--burst").code == 0


def _dispatched(call: Call, *words: str) -> str:
    answer = call("dispatch", "app:engine", *words)
    assert answer.code == 0, answer.err
    return answer.out.strip()


def _imported(call: Call, home: Path) -> str:
    (home / "people.csv").write_text("email,age\na@x,1\nb@x,-1\nc@x,3\nd@x,many\ne@x,5\n")
    answer = call("import", "app:engine", "people", "people.csv", "--user", "7")
    assert answer.code == 0, answer.err
    _work(call)
    return answer.out.strip()


def test_a_dispatched_job_is_printed_run_and_shown(call: Call) -> None:
    job_id = _dispatched(call, "greet", '{"name": "Ada"}')
    before = call("jobs", "show", job_id, *URL, "--json").data
    _work(call)
    after = call("jobs", "show", job_id, *URL, "--json").data

    assert list(before) == FIELDS
    assert (before["status"], before["queue"], before["worker"]) == ("pending", "mail", None)
    assert (after["status"], after["result"], after["attempts"]) == ("completed", "Hello, Ada", 1)
    assert job_id in call("jobs", "show", job_id, *URL).out


def test_dispatch_takes_delay_queue_priority_user_and_id(call: Call) -> None:
    job_id = _dispatched(
        call,
        "greet",
        '{"name": "Ada"}',
        "--delay",
        "60",
        "--queue",
        "slow",
        "--priority",
        "9",
        "--user",
        "7",
        "--id",
        "x1",
    )
    job = call("jobs", "show", job_id, *URL, "--json").data

    assert job_id == "x1"
    assert [job[name] for name in ("status", "queue", "priority", "user_id")] == ["scheduled", "slow", 9, 7]


def test_dispatch_by_url_knows_what_workers_published(call: Call) -> None:
    _dispatched(call, "greet", '{"name": "Ada"}')
    _work(call)
    known = call("dispatch", *URL, "greet", '{"name": "Bo"}')
    unknown = call("dispatch", *URL, "gret", "{}")

    assert (known.code, unknown.code) == (0, 2)
    assert "did you mean 'greet'?" in unknown.err
    assert call("jobs", "show", *URL, known.out.strip(), "--json").data["queue"] == "mail"


def test_the_target_may_come_from_the_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOJOBS_APP", "app:engine")

    job_id = call("dispatch", "greet", '{"name": "Ada"}').out.strip()

    assert call("worker", "--burst").code == 0
    assert call("jobs", "show", job_id, "--json").data["status"] == "completed"


def test_the_target_may_come_from_the_configuration(call: Call, home: Path) -> None:
    (home / "aiojobs.toml").write_text('app = "app:engine"\n')

    assert call("dispatch", "greet", '{"name": "Ada"}').code == 0
    assert len(call("jobs", "list", "--json").data) == 1


@pytest.mark.parametrize("target", ["app:make", "app:make_later"])
def test_the_target_may_be_a_function_that_makes_the_engine(call: Call, target: str) -> None:
    assert call("dispatch", target, "greet", '{"name": "Ada"}').code == 0
    assert call("worker", target, "--burst").code == 0
    assert [job["status"] for job in call("jobs", "list", target, "--json").data] == ["completed"]


def test_lists_of_jobs_are_filtered_and_cut(call: Call) -> None:
    ids = [_dispatched(call, "greet", f'{{"name": "{name}"}}', "--user", name) for name in "abc"]
    _dispatched(call, "fail", '{"words": "no"}')

    assert [job["id"] for job in call("jobs", "list", *URL, "--type", "greet", "--json").data] == ids[::-1]
    assert [job["id"] for job in call("jobs", "list", *URL, "--user", "b", "--json").data] == [ids[1]]
    assert call("jobs", "list", *URL, "--status", "completed", "--json").data == []
    cut = call("jobs", "list", *URL, "--limit", "2", "--json")
    assert len(cut.data) == 2
    assert "more with --all" in cut.err
    cursor = cut.err.split("--cursor ")[1].strip()
    assert len(call("jobs", "list", *URL, "--cursor", cursor, "--json").data) == 2
    assert len(call("jobs", "list", *URL, "--all", "--json").data) == 4


def test_jobs_are_cancelled_paused_resumed_retried_and_deleted(call: Call) -> None:
    first, second = (_dispatched(call, "greet", '{"name": "Ada"}') for _ in range(2))

    def status(job_id: str) -> str:
        return call("jobs", "show", job_id, *URL, "--json").data["status"]

    assert call("jobs", "cancel", first, second, *URL).code == 0
    assert (status(first), status(second)) == ("cancelled", "cancelled")
    assert call("jobs", "retry", first, *URL).code == 0
    assert status(first) == "pending"
    assert call("jobs", "pause", "app:engine", first).code == 0
    assert status(first) == "paused"
    assert call("jobs", "resume", first, *URL).code == 0
    assert status(first) == "pending"
    assert call("jobs", "delete", second, *URL).code == 0
    assert call("jobs", "show", second, *URL).code == 1


def test_what_a_job_does_not_allow_is_said_and_the_others_are_done(call: Call) -> None:
    done, waiting = (
        _dispatched(call, "greet", '{"name": "Ada"}', "--queue", queue) for queue in ("mail", "other")
    )
    assert call("worker", "app:engine", "--burst", "-q", "mail").code == 0

    answer = call("jobs", "cancel", done, "nobody", waiting, *URL)

    assert answer.code == 1
    assert f"error: job {done!r} is completed" in answer.err
    assert "error: job 'nobody' is not stored" in answer.err
    assert call("jobs", "show", waiting, *URL, "--json").data["status"] == "cancelled"


def test_purge_removes_jobs_that_have_ended(call: Call) -> None:
    _dispatched(call, "greet", '{"name": "Ada"}')
    _work(call)
    _dispatched(call, "greet", '{"name": "Bo"}')

    assert "1 job removed" in call("jobs", "purge", *URL, "--status", "completed").err
    assert [job["status"] for job in call("jobs", "list", *URL, "--json").data] == ["pending"]


def test_queues_are_listed_paused_resumed_and_purged(call: Call) -> None:
    _dispatched(call, "greet", '{"name": "Ada"}')

    assert call("queues", "pause", "mail", *URL).code == 0
    (queue,) = call("queues", "list", *URL, "--json").data
    assert (queue["name"], queue["paused"], queue["counts"]) == ("mail", True, {"pending": 1})
    assert call("queues", "resume", "mail", *URL).code == 0
    assert "mail" in call("queues", "list", *URL).out
    assert "1 job removed" in call("queues", "purge", "app:engine", "mail").err
    assert call("jobs", "list", *URL, "--json").data == []


def test_dead_jobs_are_listed_shown_replayed_and_purged(call: Call) -> None:
    job_id = _dispatched(call, "fail", '{"words": "it broke"}')
    _work(call)

    (dead,) = call("dead", "list", *URL, "--json").data
    shown = call("dead", "show", job_id, *URL)
    assert (dead["id"], dead["error"]["reason"]) == (job_id, "max_attempts")
    assert "it broke" in shown.out
    assert "Traceback" in shown.out
    assert "it broke" in call("dead", "list", *URL).out
    assert call("dead", "replay", job_id, *URL).code == 0
    assert call("jobs", "show", job_id, *URL, "--json").data["epoch"] == 1
    _work(call)
    assert "1 job replayed" in call("dead", "replay", *URL, "--all").err
    _work(call)
    assert "1 job removed" in call("dead", "purge", *URL).err
    assert call("dead", "list", *URL, "--json").data == []


def test_an_import_has_failures_that_are_listed_exported_and_retried(call: Call, home: Path) -> None:
    job_id = _imported(call, home)

    job = call("jobs", "show", job_id, *URL, "--json").data
    assert [job[name] for name in ("kind", "status", "total", "succeeded", "failed", "user_id")] == [
        "import",
        "partial",
        5,
        3,
        2,
        7,
    ]
    failures = call("failures", "list", job_id, *URL, "--json").data
    assert [(row["row_number"], row["field"], row["row_key"]) for row in failures] == [
        (2, "age", "b@x"),
        (4, "age", "d@x"),
    ]
    assert "b@x" in call("failures", "list", "app:engine", job_id).out
    exported = list(csv.DictReader(io.StringIO(call("failures", "export", job_id, *URL).out)))
    assert list(exported[0]) == ["email", "age", "_row", "_field", "_error"]
    assert [(row["email"], row["age"], row["_row"], row["_field"]) for row in exported] == [
        ("b@x", "-1", "2", "age"),
        ("d@x", "many", "4", "age"),
    ]
    assert call("failures", "export", job_id, "bad.csv", *URL).out == ""
    assert (home / "bad.csv").read_text().startswith("email,age,_row,_field,_error")
    assert call("failures", "retry", "app:engine", job_id).code == 0
    _work(call)
    assert [row["attempts"] for row in call("failures", "list", job_id, *URL, "--json").data] == [2, 2]


def test_chunks_are_listed_when_they_are_asked_for(call: Call, home: Path) -> None:
    (home / "aiojobs.toml").write_text("[chunking]\nthreshold = 2\n")
    job_id = _imported(call, home)

    assert [job["id"] for job in call("jobs", "list", *URL, "--json").data] == [job_id]
    assert {job["parent_id"] for job in call("jobs", "list", *URL, "--parent", job_id, "--json").data} == {
        job_id
    }
    assert len(call("jobs", "list", *URL, "--chunks", "--json").data) == 4


def test_an_import_takes_a_mapping_and_a_dry_run(call: Call, home: Path) -> None:
    (home / "people.csv").write_text("E-mail,Years\na@x,1\n")

    answer = call(
        "import",
        "app:engine",
        "people",
        "people.csv",
        "--map",
        "E-mail=email",
        "--map",
        "Years=age",
        "--dry-run",
    )
    _work(call)

    job = call("jobs", "show", answer.out.strip(), *URL, "--json").data
    assert (job["status"], job["succeeded"]) == ("completed", 1)


def test_types_are_those_of_the_target_and_those_that_were_published(call: Call) -> None:
    _dispatched(call, "greet", '{"name": "Ada"}')

    assert call("types", *URL, "--json").data == []
    own = {record["name"]: record["queue"] for record in call("types", "app:engine", "--json").data}
    assert own == {"greet": "mail", **dict.fromkeys(("fail", "linger", "people", "stay"), "default")}
    _work(call)
    assert {record["name"] for record in call("types", *URL, "--json").data} == set(own)
    assert "name, times?" in call("types", *URL).out


def test_health_is_0_when_all_is_well_and_1_when_not(call: Call) -> None:
    _dispatched(call, "greet", '{"name": "Ada"}')

    bad = call("health", *URL, "--json")
    assert (bad.code, bad.data["ok"], bad.data["pending"]) == (1, False, 1)
    assert "no worker serves queue 'mail'" in call("health", *URL).err
    _work(call)
    good = call("health", *URL)
    assert (good.code, good.err) == (0, "")
    assert "ok" in good.out


def test_doctor_is_0_when_nothing_is_wrong_and_1_when_something_is(call: Call) -> None:
    job_id = _dispatched(call, "greet", '{"name": "Ada"}')

    good = call("doctor", *URL, "--json")
    told = [finding["what"] for finding in good.data["findings"]]
    assert (good.code, good.data["ok"], good.data["jobs"]) == (0, True, 1)
    assert "no worker watches queue 'mail', where 1 jobs wait" in told
    assert "1 waiting jobs are of type 'greet', which no worker has published" in told
    assert "published" not in call("doctor", "app:engine").out
    assert call("doctor", *URL, "--strict").code == 1

    with sqlite3.connect("jobs.db") as connection:
        connection.execute("UPDATE jobs SET body = NULL")
    connection.close()
    bad = call("doctor", *URL)
    assert bad.code == 1
    assert f"error: jobs have lost their envelope and can't run: 1 ({job_id})" in bad.out
    assert "to do: delete them: jobs delete ID" in bad.out
    assert "error: waiting jobs can't be listed" in bad.out
    assert "2 errors, " in bad.err
    assert call("doctor", "app:forgetful").err == "nothing is wrong; looked at 0 jobs\n"


def test_doctor_tells_of_a_store_that_can_not_be_read(call: Call) -> None:
    answer = call("doctor", "--url", "redis://127.0.0.1:1?retry_for=0.1")

    assert answer.code == 1
    assert "error: the store can't be read" in answer.out


def test_events_are_shown_oldest_first(call: Call) -> None:
    job_id = _dispatched(call, "greet", '{"name": "Ada"}')
    _work(call)

    events = call("events", *URL, "--json").data
    assert [event["event"] for event in events] == ["JobCreated", "JobStarted", "JobCompleted"]
    assert {event["job_id"] for event in events} == {job_id}
    later = call("events", *URL, "--after", events[0]["cursor"], "--json").data
    assert [event["event"] for event in later] == ["JobStarted", "JobCompleted"]
    assert call("events", *URL, "--limit", "1", "--json").data == events[-1:]
    assert call("events", *URL, "--type", "fail", "--json").data == []
    assert "JobCompleted" in call("events", *URL).out


def test_top_shows_one_frame(call: Call) -> None:
    _dispatched(call, "greet", '{"name": "Ada"}')

    frame = call("top", *URL, "--once")

    assert frame.code == 0
    assert "QUEUE" in frame.out
    assert "mail" in frame.out
    assert "no workers" in frame.out


def test_what_a_user_wrote_can_not_move_the_terminal(call: Call) -> None:
    _dispatched(call, "fail", '{"words": "red \\u001b[31m and \\n two lines"}')
    _work(call)

    assert "\x1b" not in call("dead", "list", *URL).out
    assert "\x1b" not in call("jobs", "list", *URL).out


def test_dead_jobs_are_grouped_edited_and_replayed_at_a_rate(call: Call) -> None:
    for words in ("bad 1", "bad 2", "worse"):
        call("dispatch", "app:engine", "fail", f'{{"words": "{words}"}}')
    call("worker", "app:engine", "--burst")

    first, second = call("dead", "groups", "app:engine", "--json").data
    assert (first["count"], second["count"]) == (2, 1)
    mark = second["fingerprint"]
    (job,) = call("dead", "list", "app:engine", "--fingerprint", mark, "--json").data
    assert job["fingerprint"] == mark
    edited = call("dead", "edit", "app:engine", job["id"], '{"words": "other"}')
    assert edited.code == 0
    assert (
        call("jobs", "show", "app:engine", edited.out.strip(), "--json").data["meta"]["edited_from"]["id"]
        == job["id"]
    )
    replayed = call("dead", "replay", "app:engine", "--all", "--rate", "1000")
    assert (replayed.code, "2 jobs replayed" in replayed.err) == (0, True)
    assert call("dead", "edit", "app:engine", job["id"], "[1]").code == 2
    assert call("dead", "list", "app:engine", "--since", "yesterday").code == 2


def test_a_job_that_does_not_run_is_explained(call: Call) -> None:
    job_id = call("dispatch", "app:engine", "greet", '{"name": "Ann"}').out.strip()

    explained = call("jobs", "explain", "app:engine", job_id, "--json").data
    assert (explained["job_id"], explained["status"]) == (job_id, "pending")
    assert [reason["code"] for reason in explained["reasons"]] == ["no_worker"]
    said = call("jobs", "explain", "app:engine", job_id)
    assert f"{job_id} is pending" in said.out
    assert "no_worker: no worker serves the queue mail" in said.out
    assert call("jobs", "explain", "app:engine", "nobody").code == 1


def test_commands_of_a_configured_app_need_no_database_that_is_there_already(call: Call, home: Path) -> None:
    (home / "aiojobs.toml").write_text('url = "sqlite:///jobs.db"\napp = "app:engine"\n')

    listed = call("jobs", "list", "--json")
    types = call("types", "--json")

    assert (listed.code, listed.data) == (0, [])
    assert (types.code, types.data) == (0, [])


def test_past_runs_are_listed_by_job_type_and_cron_entry(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOJOBS_EXECUTION_LOG__HANDLERS", '["database"]')
    job_id = call("dispatch", "app:engine", "greet", '{"name": "Ann"}').out.strip()
    call("dispatch", "app:engine", "fail", '{"words": "token=hunter2hunter2"}')
    assert call("worker", "app:engine", "--burst").code == 0
    monkeypatch.delenv("AIOJOBS_EXECUTION_LOG__HANDLERS")

    url = ("--url", "sqlite:///jobs.db")
    (run,) = call("executions", *url, "--job", job_id, "--json").data
    assert (run["type"], run["status"], run["output"]) == ("greet", "completed", '"Hello, Ann"')
    assert "Hello, Ann" in call("executions", *url, "--type", "greet").out
    shown = call("executions", *url).out
    assert "ValueError: token=***" in shown
    assert "hunter2" not in shown
    assert call("executions", *url, "--cron", "nightly").err == "no runs\n"
    assert call("executions", *url, "-n", "0").code == 2


def test_without_an_execution_log_the_command_says_how_to_have_one(call: Call) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ann"}')

    answer = call("executions", "--url", "sqlite:///jobs.db")

    assert (answer.code, answer.out) == (2, "")
    assert "set execution_log.handlers" in answer.err
