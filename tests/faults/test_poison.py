"""Poison jobs: what they take with them, and how they run alone, in a process of their own."""

import asyncio
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import Engine
from aiojobs_engine.core.errors import LeaseLostError, PayloadError
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.masking import masker_of
from aiojobs_engine.core.outcome import Discarded, Failed, Outcome, RowsDone, Snoozed, Succeeded, WorkerLost
from aiojobs_engine.core.retry import Requeue
from aiojobs_engine.isolation import isolate_for
from aiojobs_engine.ports.backend import Claim, Watch
from aiojobs_engine.runtime.runs import Isolate
from aiojobs_engine.runtime.settlement import error_info
from aiojobs_engine.target import load
from tests.servers.processes import is_alive

BOUND = 60.0

APP = """
import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from aiojobs_engine import Discard, Engine, JobContext, Retry, RetryLater, Snooze

config = {"worker": {"lease": 2.0, "cancel_timeout": 0.5}, "listeners": {"log": False}}
engine = Engine("sqlite:///jobs.db", config=config)


class Picky(Exception):
    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(code)
        self.code = code
        self.why = why

    def __str__(self) -> str:
        return f"code {self.code}, {self.why}"


class Point(msgspec.Struct):
    x: int


@engine.resources
@contextlib.asynccontextmanager
async def resources():
    yield {"pid": os.getpid()}
    Path(f"{os.getpid()}.left").touch()


@engine.middleware
async def around(ctx, call_next):
    return await call_next()


@engine.job(name="poison")
async def poison() -> None:
    await asyncio.sleep(0.2)
    os._exit(13)


@engine.job(name="healthy")
async def healthy(number: int) -> int:
    await asyncio.sleep(0.3)
    return number


@engine.job(name="segfault")
async def segfault() -> None:
    ctypes.string_at(0)


@engine.job(name="greet")
async def greet(ctx: JobContext, point: Point) -> Point:
    print("said by the handler", flush=True)
    await ctx.progress(3, 7, "on its way")
    await ctx.checkpoint({"seen": 3})
    assert ctx.resources["pid"] == os.getpid()
    return Point(point.x + 1)


@engine.job(name="goes_on")
async def goes_on(ctx: JobContext) -> int:
    await ctx.progress(5, 7)
    await ctx.progress(6, 7)
    return ctx.cursor["seen"]


@engine.job(name="who")
async def who() -> int:
    return os.getpid()


@engine.job(name="plain")
def plain() -> str:
    return threading.current_thread().name


@engine.job(name="apart", run_in="process")
def apart() -> int:
    return os.getpid()


@engine.job(name="picky", retry=Retry.exponential(3, 1, on=Picky))
async def picky() -> None:
    raise Picky(7, why="because")


@engine.job(name="local")
async def local() -> None:
    class Hidden(ValueError):
        pass

    raise Hidden("nobody can import it")


@engine.job(name="snooze")
async def snooze() -> None:
    raise Snooze(12)


@engine.job(name="discard")
async def discard() -> None:
    raise Discard("not needed")


@engine.job(name="later")
async def later() -> None:
    raise RetryLater(9)


@engine.job(name="unfit")
async def unfit():
    return {1, 2, 3}


@engine.job(name="hangs")
async def hangs(place: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(place).write_text(f"{os.getpid()} {child.pid}")
    await asyncio.Event().wait()


@engine.job(name="reads")
async def reads() -> str:
    return sys.stdin.read()


class Row(msgspec.Struct):
    name: str


@engine.importer("rows", row=Row, key="name", chunk_size=2)
async def rows(ctx: JobContext, rows: list[Row]) -> None:
    for row in rows:
        if row.name == "bad":
            ctx.fail_row(row, "bad it is", field="name")


def make() -> Engine:
    return engine


if __name__ == "__main__":
    raise SystemExit("it must not be run")
"""

SCRIPT = """
import asyncio

from aiojobs_engine import Engine
from aiojobs_engine.isolation import isolate_for
from aiojobs_engine.ports.backend import Watch

engine = Engine("sqlite:///script.db")


@engine.job()
async def where() -> str:
    return __name__


async def main() -> None:
    async with engine:
        await engine.dispatch(where)
        (claim,) = await engine.store.claim(Watch("w1", ("default",), (where.name,)), 1, 60.0)
        outcome = await isolate_for(engine)(claim, lambda: None)
        print(outcome.result)


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a small app, which is the working directory."""
    (tmp_path / "poisonous.py").write_text(textwrap.dedent(APP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "poisonous", raising=False)
    return tmp_path


@pytest.fixture
async def engine(app: Path) -> AsyncIterator[Engine]:
    """The app's engine, open; nobody works."""
    found = await load("poisonous:engine")
    assert isinstance(found, Engine)
    async with found:
        yield found
    del sys.modules["poisonous"]


async def _claimed(engine: Engine, job: Job[Any]) -> Claim:
    await engine.dispatch(job)
    watch = Watch("w1", ("default",), tuple(engine.registry.types))
    (claim,) = await engine.store.claim(watch, 1, 60.0)
    return claim


async def _alone(
    engine: Engine, name: str, payload: str = "{}", alive: Callable[[], None] = lambda: None
) -> Outcome:
    job = engine.named(name).job_from_json(payload.encode())
    return await _isolate(engine)(await _claimed(engine, job), alive)


def _isolate(engine: Engine) -> Isolate:
    isolate = isolate_for(engine)
    assert isolate is not None
    return isolate


async def _until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + BOUND
    while not is_so():
        assert time.monotonic() < end, f"{what} within {BOUND} s"
        await asyncio.sleep(0.02)


def test_a_poison_job_beside_99_healthy_ones_in_one_worker(app: Path) -> None:
    dispatch = (
        "import asyncio, poisonous\n"
        "async def main():\n"
        "    async with poisonous.engine as engine:\n"
        "        jobs = [poisonous.healthy.job(number=n) for n in range(99)]\n"
        "        jobs.insert(50, poisonous.poison.job())\n"
        "        await engine.dispatch_many(jobs)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-m", "aiojobs_engine"]
    subprocess.run([sys.executable, "-c", dispatch], check=True)

    worker = subprocess.run(
        [*command, "worker", "poisonous:engine", "-p", "1", "--burst"],
        capture_output=True, text=True, check=False, timeout=BOUND,
    )  # fmt: skip
    listed = subprocess.run(
        [*command, "jobs", "list", "poisonous:engine", "--all", "--json"], capture_output=True, check=True
    )

    jobs = json.loads(listed.stdout)
    healthy = [job for job in jobs if job["type"] == "healthy"]
    (poison,) = (job for job in jobs if job["type"] == "poison")
    assert worker.returncode == 0, worker.stderr
    assert {job["status"] for job in healthy} == {"completed"}
    assert sorted(job["result"] for job in healthy) == list(range(99))
    assert (poison["status"], poison["crashes"], poison["error"]["reason"]) == ("failed", 5, "crashed_worker")
    assert max(job["crashes"] for job in healthy) <= 2
    assert worker.stderr.count("worker process") == 2, worker.stderr


async def test_what_a_handler_returns_comes_back(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    beats: list[None] = []

    outcome = await _alone(engine, "greet", '{"point": {"x": 41}}', lambda: beats.append(None))

    assert isinstance(outcome, Succeeded)
    assert (type(outcome.result).__name__, outcome.result.x) == ("Point", 42)
    assert len(beats) == 2
    assert "said by the handler" in capfd.readouterr().out
    (job,) = (await engine.jobs.list()).items
    assert (job.status, job.processed, job.total, job.message) == ("processing", 3, 7, "on its way")


async def test_the_last_progress_and_the_cursor_travel(engine: Engine) -> None:
    claim = await _claimed(engine, engine.named("goes_on").job_from_json(b"{}"))
    isolate = _isolate(engine)

    outcome = await isolate(msgspec.structs.replace(claim, cursor=b'{"seen":3}'), lambda: None)

    assert outcome == Succeeded(3)
    job = await engine.jobs.get(claim.envelope.id)
    assert (job.processed, job.total) == (6, 7)


async def test_every_outcome_comes_back_as_it_would_be_without_a_process(engine: Engine) -> None:
    names = ("plain", "apart", "snooze", "discard", "later", "reads", "segfault", "poison")
    claims = {name: await _claimed(engine, engine.named(name).job_from_json(b"{}")) for name in names}
    isolate = _isolate(engine)

    made = await asyncio.gather(*(isolate(claim, lambda: None) for claim in claims.values()))

    outcomes = dict(zip(claims, made, strict=True))
    assert isinstance(outcomes["plain"], Succeeded)
    assert "MainThread" not in str(outcomes["plain"].result)
    assert isinstance(outcomes["apart"], Succeeded)
    assert outcomes["snooze"] == Snoozed(12.0)
    assert outcomes["discard"] == Discarded("not needed")
    assert isinstance(outcomes["later"], Failed)
    assert outcomes["later"].delay == 9.0
    assert outcomes["reads"] == Succeeded("")
    assert outcomes["segfault"] == WorkerLost("the process that ran it alone was killed by SIGSEGV")
    assert outcomes["poison"] == WorkerLost(
        "the process that ran it alone ended with exit code 13 and no answer"
    )


async def test_a_process_runs_jobs_that_wait_one_after_the_other_and_is_left_in_good_order(
    engine: Engine, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiojobs_engine.isolation.parent._AT_ONCE", 1)
    claims = [await _claimed(engine, engine.named("who").job_from_json(b"{}")) for _ in range(3)]
    claims.insert(1, await _claimed(engine, engine.named("poison").job_from_json(b"{}")))
    isolate = _isolate(engine)

    outcomes = await asyncio.gather(*(isolate(claim, lambda: None) for claim in claims))

    first, died, *others = outcomes
    assert isinstance(died, WorkerLost)
    assert isinstance(first, Succeeded)
    (pid,) = {outcome.result for outcome in others if isinstance(outcome, Succeeded)}
    assert pid != first.result
    assert [file.name for file in app.glob("*.left")] == [f"{pid}.left"]


async def test_a_run_that_is_cancelled_while_it_waits_leaves_no_process(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiojobs_engine.isolation.parent._AT_ONCE", 1)
    claims = [await _claimed(engine, engine.named("who").job_from_json(b"{}")) for _ in range(2)]
    isolate = _isolate(engine)
    running, waiting = (asyncio.ensure_future(isolate(claim, lambda: None)) for claim in claims)
    await checkpoint()
    assert isolate._waiting == 1

    waiting.cancel()

    outcome = await running
    assert isinstance(outcome, Succeeded)
    assert not is_alive(outcome.result)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_exception_keeps_its_class_its_text_and_its_traceback(engine: Engine) -> None:
    outcome = await _alone(engine, "picky")

    assert isinstance(outcome, Failed)
    picky = sys.modules["poisonous"].Picky
    assert isinstance(outcome.error, picky)
    assert (outcome.error.code, outcome.error.why) == (7, "because")
    told = error_info(outcome.error, masker_of())
    assert (told.type, told.message) == ("poisonous.Picky", "code 7, because")
    assert 'raise Picky(7, why="because")' in told.traceback
    assert engine.registry.types["picky"].decorated["retry"].decide(1, outcome.error) == Requeue(1)


async def test_an_exception_whose_class_is_not_found_keeps_its_name(engine: Engine) -> None:
    outcome = await _alone(engine, "local")

    assert isinstance(outcome, Failed)
    told = error_info(outcome.error, masker_of())
    assert (told.type, told.message) == ("poisonous.local.<locals>.Hidden", "nobody can import it")


async def test_a_result_that_can_not_be_stored_is_told(engine: Engine) -> None:
    outcome = await _alone(engine, "unfit")

    assert isinstance(outcome, Succeeded)
    with pytest.raises(PayloadError, match="would come back changed"):
        engine.registry.types["unfit"].results.encode(outcome.result, 1000)


async def test_arguments_that_do_not_fit_fail_for_good(engine: Engine) -> None:
    outcome = await _alone(engine, "greet", '{"point": {"y": 1}}')

    assert isinstance(outcome, Failed)
    assert outcome.permanent == "payload"
    assert isinstance(outcome.error, PayloadError)


async def test_rows_go_through(engine: Engine, app: Path) -> None:
    (app / "rows.csv").write_text("name\na\nbad\n")
    await engine.dispatch(engine.registry.types["rows"], "rows.csv")
    watch = Watch("w1", ("default",), ("rows",))
    (claim,) = await engine.store.claim(watch, 1, 60.0)

    outcome = await _isolate(engine)(claim, lambda: None)

    assert isinstance(outcome, RowsDone)
    assert (outcome.succeeded, [(fault.row_number, fault.field) for fault in outcome.faults]) == (
        1,
        [(2, "name")],
    )


async def test_cancelling_kills_the_process_and_all_that_it_started(engine: Engine, app: Path) -> None:
    place = app / "pids"
    running = asyncio.ensure_future(_alone(engine, "hangs", json.dumps({"place": str(place)})))
    await _until(lambda: place.exists() and len(place.read_text().split()) == 2, "the handler runs")
    pids = [int(word) for word in place.read_text().split()]

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await _until(lambda: not any(map(is_alive, pids)), "they end")


async def test_a_lease_that_was_lost_is_told(engine: Engine) -> None:
    claim = await _claimed(engine, engine.named("greet").job_from_json(b'{"point": {"x": 1}}'))
    stale = msgspec.structs.replace(claim.lease, token=claim.lease.token + 1)

    with pytest.raises(LeaseLostError):
        await _isolate(engine)(msgspec.structs.replace(claim, lease=stale), lambda: None)


async def test_an_engine_that_a_function_makes_is_found_by_its_target(engine: Engine) -> None:
    engine.target = "poisonous:make"

    assert await _alone(engine, "plain") is not None


async def test_a_target_that_can_not_be_loaded_is_a_lost_worker(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.target = "poisonous:nothing"

    outcome = await _alone(engine, "plain")

    assert isinstance(outcome, WorkerLost)
    assert "module 'poisonous' has no 'nothing'" in capfd.readouterr().err


def test_a_script_is_loaded_under_the_name_of_its_file(app: Path) -> None:
    script = app / "script.py"
    script.write_text(SCRIPT)

    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=BOUND
    )

    assert ran.stdout.splitlines() == ["script"], ran.stderr


@pytest.mark.parametrize("url", ["memory://", "sqlite:///other.db"])
def test_an_engine_that_no_other_process_can_share_or_find_has_no_isolation(app: Path, url: str) -> None:
    assert isolate_for(Engine(url)) is None
