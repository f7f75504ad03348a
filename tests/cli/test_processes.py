"""The command line as processes: workers that are told to stop, readers that hang up, people who wait."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from aiojobs_engine.cli.telling import port_of
from aiojobs_engine.core.errors import ConfigError
from tests.cli.conftest import Call, Spawn, ended
from tests.servers.server import until

URL = ("--url", "sqlite:///jobs.db")
BOUND = 20.0


def _worker(spawn: Spawn, *words: str) -> "subprocess.Popen[str]":
    process = spawn("worker", "app:engine", *words)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("aiojobs-engine ")
    return process


def _status(call: Call, job_id: str) -> str:
    return call("jobs", "show", job_id, *URL, "--json").data["status"]


def test_people_wait_for_a_worker_in_another_process(call: Call, spawn: Spawn, home: Path) -> None:
    (home / "people.csv").write_text("email,age\na@x,1\nb@x,-1\nc@x,3\n")
    worker = _worker(spawn)

    result = call("dispatch", "app:engine", "greet", '{"name": "Ada", "times": 2}', "--wait")
    status = call("dispatch", "app:engine", "greet", '{"name": "Ada"}', "--wait", "--json")
    failed = call("dispatch", "app:engine", "fail", '{"words": "it broke"}', "--wait")
    imported = call("import", "app:engine", "people", "people.csv", "--wait")
    listed = call("workers", *URL, "--json").data
    health = call("health", *URL)
    worker.terminate()
    stopped = ended(worker)

    assert (result.code, result.data) == (0, "Hello, Ada and Ada")
    assert status.data["status"] == "completed"
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.splitlines()[-1].startswith("error: job ")
    assert "it broke" in failed.err
    assert imported.code == 0
    assert "3 of 3 rows" in imported.err
    assert "partial: 2 of 3 rows are in" in imported.err
    assert f"failures list app:engine {imported.out.strip()}" in imported.err
    assert [record["pid"] for record in listed] == [worker.pid]
    assert health.code == 0
    assert (stopped.code, stopped.out) == (0, "")
    assert "stopped after 4 runs" in stopped.err
    assert call("workers", *URL, "--json").data == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(call: Call, spawn: Spawn, number: signal.Signals) -> None:
    job_id = call("dispatch", "app:engine", "linger").out.strip()
    worker = _worker(spawn)
    until(lambda: _status(call, job_id) == "processing", "the job runs")

    worker.send_signal(number)

    assert ended(worker).code == 0
    assert _status(call, job_id) == "completed"


def test_a_second_signal_hands_back_with_no_attempt_counted(call: Call, spawn: Spawn) -> None:
    job_id = call("dispatch", "app:engine", "stay").out.strip()
    worker = _worker(spawn)
    until(lambda: _status(call, job_id) == "processing", "the job runs")

    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGINT)

    assert ended(worker).code == 0
    job = call("jobs", "show", job_id, *URL, "--json").data
    assert (job["status"], job["attempts"], job["worker"]) == ("pending", 0, None)


def test_the_drain_timeout_bounds_the_drain(call: Call, spawn: Spawn) -> None:
    job_id = call("dispatch", "app:engine", "stay").out.strip()
    worker = _worker(spawn, "--drain-timeout", "0.1")
    until(lambda: _status(call, job_id) == "processing", "the job runs")

    worker.terminate()

    assert ended(worker, 10).code == 0
    assert _status(call, job_id) == "pending"


def test_a_reader_that_hangs_up_is_no_error(call: Call, spawn: Spawn) -> None:
    for _ in range(3):
        call("dispatch", "app:engine", "greet", '{"name": "Ada"}')
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "aiojobs_engine", "jobs", "list", "--json", *URL]

    hung_up = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, check=False
    )

    assert (hung_up.returncode, hung_up.stderr) == (0, "")
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_full_disk_is_an_error(call: Call, spawn: Spawn) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')
    command = [sys.executable, "-m", "aiojobs_engine", "jobs", "list", "--json", *URL]

    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert ran.returncode == 1
    assert ran.stderr.startswith("error: No space left on device")
    assert len(ran.stderr.splitlines()) == 1


def test_events_are_followed_until_ctrl_c(call: Call, spawn: Spawn) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')
    follower = spawn("events", *URL, "--follow", "--json")
    assert follower.stdout is not None

    first = follower.stdout.readline()
    call("dispatch", "app:engine", "stay")
    second = follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    stopped = ended(follower)

    assert ('"greet"' in first, '"stay"' in second) == (True, True)
    assert (stopped.code, stopped.err.strip()) == (0, "")


def test_top_goes_on_until_ctrl_c(call: Call, spawn: Spawn) -> None:
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}')
    top = spawn("top", *URL, "--interval", "0.1")
    assert top.stdout is not None
    for _ in range(30):
        top.stdout.readline()

    top.send_signal(signal.SIGINT)
    stopped = ended(top)

    assert (stopped.code, stopped.err.strip()) == (0, "")


def test_a_worker_in_memory_says_that_it_is_alone(call: Call) -> None:
    answer = call("worker", "app:forgetful", "--burst")

    assert answer.code == 0
    assert "memory:// is this process alone" in answer.err


def test_ctrl_c_while_waiting_is_quiet(call: Call, spawn: Spawn) -> None:
    waiting = spawn("dispatch", "app:engine", "greet", '{"name": "Ada"}', "--wait")
    assert waiting.stderr is not None
    said = [waiting.stderr.readline() for _ in range(2)]

    waiting.send_signal(signal.SIGINT)
    stopped = ended(waiting)

    assert said[0].startswith("job ")
    assert said[1].startswith("no worker serves")
    assert (stopped.code, stopped.out, stopped.err.strip()) == (130, "", "")


def test_a_worker_that_can_not_stop_something_leaves(call: Call, spawn: Spawn, home: Path) -> None:
    with (home / "app.py").open("a") as app:
        app.write(
            "\nimport threading\n\n@engine.job(name='stuck', timeout=0.2)\ndef stuck() -> None:\n"
            "    open('began', 'w').close()\n    threading.Event().wait()\n"
        )
    call("dispatch", "app:engine", "stuck")
    worker = _worker(spawn, "--drain-timeout", "0.1")
    until((home / "began").exists, "the job runs")

    worker.terminate()

    assert ended(worker).code == 0


def test_a_worker_starts_anew_when_a_file_changes(call: Call, spawn: Spawn, home: Path) -> None:
    (home / "app.py").write_text((home / "app.py").read_text().replace("Hello, ", "Good morning, "))
    worker = _worker(spawn, "--reload")
    first = call("dispatch", "app:engine", "greet", '{"name": "Ada"}', "--wait")
    pids = {record["pid"] for record in call("workers", *URL, "--json").data}

    (home / "app.py").write_text((home / "app.py").read_text().replace("Good morning, ", "Good night, "))
    until(
        lambda: (
            {record["pid"] for record in call("workers", *URL, "--json").data}.isdisjoint(pids | {None})
            and bool(call("workers", *URL, "--json").data)
        ),
        "another worker",
    )
    second = call("dispatch", "app:engine", "greet", '{"name": "Ada"}', "--wait")
    worker.terminate()
    stopped = ended(worker)

    assert (first.data, second.data) == ("Good morning, Ada", "Good night, Ada")
    assert stopped.code == 0
    assert "a file has changed" in stopped.err


def _figures(process: "subprocess.Popen[str]") -> str:
    """What Prometheus would read, at the address that the process tells."""
    assert process.stderr is not None
    told = next(line for line in process.stderr if line.startswith("metrics at "))
    with urllib.request.urlopen(told.split()[-1], timeout=BOUND) as answer:
        text: str = answer.read().decode()
    return text


def test_a_worker_shows_its_figures_to_prometheus(spawn: Spawn, call: Call) -> None:
    process = spawn("worker", "app:engine", "--metrics-port", "0")
    assert process.stderr is not None
    address = next(line for line in process.stderr if line.startswith("metrics at ")).split()[-1]
    call("dispatch", "app:engine", "greet", '{"name": "Ada"}', "--wait")

    def read() -> str:
        with urllib.request.urlopen(address, timeout=BOUND) as answer:
            return str(answer.read().decode())

    done = (
        'aiojobs_engine_job_completed_total{aiojobs_engine_task_name="greet",'
        'messaging_destination_name="mail",aiojobs_engine_job_outcome="succeeded"} 1'
    )
    until(lambda: done in read(), "the run is counted")
    until(lambda: "aiojobs_engine_worker_slots_limit 100" in read(), "the slots are told")
    process.terminate()
    ended(process)


def test_each_process_of_a_supervisor_shows_its_own_figures(spawn: Spawn) -> None:
    process = spawn("worker", "app:engine", "-p", "2", "--metrics-port", "0")

    texts = [_figures(process) for _ in range(2)]
    process.terminate()
    ended(process)

    assert all(isinstance(text, str) for text in texts)


def test_a_port_that_is_taken_is_told_in_one_line(call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = call("worker", "app:engine", "--burst", "--metrics-port", str(taken.getsockname()[1]))

    assert result.code == 2
    assert result.err.startswith("error: metrics can't be served at 127.0.0.1:")


@pytest.mark.parametrize("first, place, port", [(9100, 0, 9100), (9100, 3, 9103), (0, 3, 0)])
def test_processes_take_one_port_after_the_other(first: int, place: int, port: int) -> None:
    assert port_of(first, place) == port


def test_there_are_no_ports_beyond_the_last() -> None:
    with pytest.raises(ConfigError, match="beyond the last port"):
        port_of(65_535, 1)
