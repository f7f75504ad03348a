"""Worker processes under a supervisor: they die, they are told to stop, their parent dies."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine.runtime.supervisor import Command, Supervisor
from aiojobs_engine.runtime.system_clock import SystemClock
from tests.servers.processes import is_alive

BOUND = 20.0

CHILD = """
import asyncio
import os
import signal
import sys
from pathlib import Path

from aiojobs_engine.runtime.supervisor import Lifeline

descriptor, how = int(sys.argv[1]), sys.argv[2]
place = Path(sys.argv[3])
count = len(list(place.glob("*.started")))
(place / f"{os.getpid()}.started").touch()


async def main():
    lifeline = Lifeline(descriptor)
    told = asyncio.Event()
    words = []

    def stop():
        words.append("stop")
        told.set()

    def stop_now():
        words.append("now")
        told.set()

    if how == "unable":
        sys.exit(2)
    lifeline.listen(stop, stop_now)
    lifeline.ready()
    if how == "dies once" and count == 0:
        os._exit(0)
    if how == "dies always":
        os._exit(13)
    if how == "deaf":
        signal.pause()
    if how != "works":
        await told.wait()
    (place / f"{os.getpid()}.{words[-1] if words else 'worked'}").touch()
    lifeline.done(3)


asyncio.run(main())
"""


def _command(how: str, place: Path) -> Command:
    (place / "child.py").write_text(CHILD)
    return lambda descriptor, _: [sys.executable, str(place / "child.py"), str(descriptor), how, str(place)]


def _seen(place: Path, what: str) -> list[Path]:
    return list(place.glob(f"*.{what}"))


async def _until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + BOUND
    while not is_so():
        assert time.monotonic() < end, f"{what} within {BOUND} s"
        await asyncio.sleep(0.02)


async def test_it_ends_when_all_have_ended_in_good_order(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("works", tmp_path), 2, SystemClock())

    assert await supervisor.run() == 0
    assert (supervisor.settled, supervisor.restarts) == (6, 0)


async def test_stop_reaches_every_process(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("waits", tmp_path), 2, SystemClock())
    running = asyncio.ensure_future(supervisor.run())
    await _until(lambda: len(_seen(tmp_path, "started")) == 2, "two processes run")

    supervisor.stop()

    assert await running == 0
    assert len(_seen(tmp_path, "stop")) == 2


async def test_a_stop_that_comes_before_the_process_listens_is_heard(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("waits", tmp_path), 1, SystemClock())
    running = asyncio.ensure_future(supervisor.run())
    await _until(lambda: bool(supervisor.pids), "a process was started")

    supervisor.stop()

    assert await running == 0


async def test_stop_now_says_so_and_kills_those_that_do_not_hear(tmp_path: Path) -> None:
    listening, deaf = (tmp_path / name for name in ("listening", "deaf"))
    for place in (listening, deaf):
        place.mkdir()
    first = Supervisor(_command("waits", listening), 1, SystemClock())
    second = Supervisor(_command("deaf", deaf), 1, SystemClock())
    running = [asyncio.ensure_future(each.run()) for each in (first, second)]
    await _until(lambda: bool(_seen(listening, "started") and _seen(deaf, "started")), "both run")

    first.stop_now()
    second.stop_now()
    second.kill()

    assert await asyncio.gather(*running) == [0, 1]
    assert len(_seen(listening, "now")) == 1


async def test_a_process_that_ends_without_a_word_is_replaced_whatever_its_exit_code(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("dies once", tmp_path), 1, SystemClock())
    running = asyncio.ensure_future(supervisor.run())
    await _until(lambda: len(_seen(tmp_path, "started")) == 2, "another process runs")

    supervisor.stop()

    assert await running == 0
    assert supervisor.restarts == 1


async def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("waits", tmp_path), 2, SystemClock())
    running = asyncio.ensure_future(supervisor.run())
    await _until(lambda: len(_seen(tmp_path, "started")) == 2, "two processes run")

    os.kill(supervisor.pids[0], signal.SIGKILL)
    await _until(lambda: len(_seen(tmp_path, "started")) == 3, "another process runs")
    supervisor.stop()

    assert await running == 0
    assert (supervisor.restarts, len(_seen(tmp_path, "stop"))) == (1, 2)


async def test_processes_that_die_at_once_are_replaced_later_and_later(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("dies always", tmp_path), 1, SystemClock())
    running = asyncio.ensure_future(supervisor.run())
    began_at = time.monotonic()
    await _until(lambda: len(_seen(tmp_path, "started")) == 4, "the fourth process runs")
    took = time.monotonic() - began_at

    supervisor.stop()

    assert await running in (0, 1)
    assert took > 0.2 + 0.4 + 0.8


async def test_what_keeps_the_first_from_starting_ends_all(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("unable", tmp_path), 3, SystemClock())

    assert await supervisor.run() == 2
    assert len(_seen(tmp_path, "started")) == 1


async def test_cancelling_kills_them(tmp_path: Path) -> None:
    supervisor = Supervisor(_command("waits", tmp_path), 2, SystemClock())
    running = asyncio.ensure_future(supervisor.run())
    await _until(lambda: len(_seen(tmp_path, "started")) == 2, "two processes run")
    pids = supervisor.pids

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert [pid for pid in pids if is_alive(pid)] == []


APP = """
import asyncio
import os
from pathlib import Path

from aiojobs_engine import Engine, JobContext

engine = Engine("sqlite:///jobs.db", config={"worker": {"lease": 2.0}})


@engine.job(name="who")
async def who(ctx: JobContext) -> int:
    Path(f"{os.getpid()}.began").touch()
    while len(list(Path().glob("*.began"))) < 2 and not ctx.stopping:
        await asyncio.sleep(0.01)
    return os.getpid()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The directory of an app whose job ends when two processes have run it, or its own is told to stop."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    return tmp_path


@pytest.fixture
def start(app: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start the command line in the app's directory."""
    with ExitStack() as stack:

        def process(*words: str) -> "subprocess.Popen[str]":
            made = subprocess.Popen(
                [sys.executable, "-m", "aiojobs_engine", *words],
                cwd=app, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            stack.enter_context(made)
            stack.callback(made.kill)
            return made

        yield process


def _call(app: Path, *words: str) -> Any:
    import json

    command = [sys.executable, "-m", "aiojobs_engine", *words]
    ran = subprocess.run(command, cwd=app, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


async def _workers(app: Path, count: int) -> list[int]:
    """The processes of `count` workers, as soon as there are so many."""
    pids: list[int] = []

    def are_there() -> bool:
        pids[:] = [worker["pid"] for worker in _call(app, "workers", "app:engine", "--json")]
        return len(pids) == count

    await _until(are_there, f"{count} workers")
    return pids


async def test_several_processes_share_the_work_and_drain_together(
    app: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    supervisor = start("worker", "app:engine", "-p", "2", "-c", "1")
    pids = await _workers(app, 2)
    results = await asyncio.gather(
        *(asyncio.to_thread(_call, app, "dispatch", "app:engine", "who", "--wait") for _ in range(2))
    )

    supervisor.terminate()
    _, said = supervisor.communicate(timeout=BOUND)

    assert set(results) == set(pids)
    assert supervisor.returncode == 0
    assert "stopped after 2 runs" in said
    assert [pid for pid in pids if is_alive(pid)] == []


async def test_a_killed_worker_is_replaced_and_its_job_runs_again(
    app: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    supervisor = start("worker", "app:engine", "-p", "1")
    (pid,) = await _workers(app, 1)
    waiting = start("dispatch", "app:engine", "who", "--wait")
    await _until(lambda: bool(_seen(app, "began")), "it runs")

    os.kill(pid, signal.SIGKILL)
    result, _ = waiting.communicate(timeout=BOUND)
    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(BOUND) == 0
    assert int(result) != pid


async def test_when_the_supervisor_is_killed_its_workers_drain(
    app: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    supervisor = start("worker", "app:engine", "-p", "2")
    pids = await _workers(app, 2)
    waiting = start("dispatch", "app:engine", "who", "--wait")
    await _until(lambda: bool(_seen(app, "began")), "it runs")

    supervisor.kill()

    result, _ = waiting.communicate(timeout=BOUND)
    await _until(lambda: not any(map(is_alive, pids)), "the workers end")
    assert int(result) in pids
    assert _call(app, "workers", "app:engine", "--json") == []


async def test_a_wrong_target_is_told_once(app: Path, start: Callable[..., "subprocess.Popen[str]"]) -> None:
    supervisor = start("worker", "app:engin", "-p", "3")

    _, said = supervisor.communicate(timeout=BOUND)

    assert supervisor.returncode == 2
    assert said.splitlines() == ["error: module 'app' has no 'engin'; did you mean 'engine'?"]
