"""The execution log: a masked record per run, to files, a database or handlers, off the hot path."""

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, Retry, Secret, Snooze
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.executions import ExecutionFilter
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.telemetry.execution_database import ExecutionDatabase
from aiojobs_engine.telemetry.execution_files import ExecutionFiles, line_of
from aiojobs_engine.telemetry.execution_log import QUEUE, ExecutionLog, ExecutionRecord
from aiojobs_engine.testing import ManualClock, TestEngine

CLOCK = ManualClock()


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def record(number: int, **fields: Any) -> ExecutionRecord:
    at = moment(ManualClock().now())
    given: dict[str, Any] = {
        "execution_id": f"job-{number}.1",
        "job_id": f"job-{number}",
        "name": "work",
        "type": "work",
        "kind": "job",
        "queue": "default",
        "source": "queue",
        "attempt": 1,
        "status": Status.COMPLETED,
        "user_id": None,
        "retry": RetrySpec(),
        "payload": {"n": number},
        "payload_hash": "0",
        "started_at": at,
        "ended_at": moment(ManualClock().now() + number),
        "duration": 0.5,
        "output": None,
        "output_length": 0,
        "error": None,
        **fields,
    }
    return ExecutionRecord(**given)


def engine_with(**settings: Any) -> Engine:
    return Engine("memory://", config={"execution_log": settings})


async def test_every_run_leaves_a_record_with_all_that_there_is_to_know() -> None:
    engine = engine_with(handlers=["file"])

    @engine.job(name="send", retry=Retry.fixed(2, 5), queue="mail")
    async def send(ctx: JobContext, address: str, password: str, key: Secret[str]) -> dict[str, str]:
        if ctx.attempt == 1:
            raise ConnectionError("smtp://ann:hunter2@mail is away")
        return {"sent": address, "token": "hunter2"}

    async with TestEngine(engine) as t:
        handle = await engine.dispatch(
            send.options(user_id=7), "a@b.c", password="hunter2", key=Secret("hunter2")
        )
        await t.drain()
        await t.advance(5)
        second, first = await engine.executions.history(job_id=handle.id)

    assert (first.attempt, first.status, second.attempt, second.status) == (1, "retrying", 2, "completed")
    assert first.execution_id != second.execution_id
    assert (first.job_id, first.name, first.type, first.queue, first.source) == (
        handle.id,
        "send",
        "send",
        "mail",
        "queue",
    )
    assert (first.user_id, first.kind) == (7, "job")
    assert (
        first.retry == RetrySpec(policy="fixed", max_attempts=2, base=5, jitter=0)
        or first.retry.policy == "fixed"
    )
    assert first.error is not None
    assert (first.error.type, first.error.message) == ("ConnectionError", "smtp://ann:***@mail is away")
    assert first.payload == {"address": "a@b.c", "password": "***", "key": "***"}
    assert second.output == '{"sent":"a@b.c","token":"***"}'
    assert second.output_length == len('{"sent":"a@b.c","token":"hunter2"}')
    assert second.error is None
    assert first.payload_hash == second.payload_hash
    assert second.ended_at >= second.started_at
    assert second.duration >= 0
    assert "hunter2" not in "".join(path.read_text() for path in Path("aiojobs-executions").iterdir())


@pytest.mark.parametrize("handler", ["file", "database"])
async def test_history_is_by_job_by_type_and_by_cron_entry_newest_first(handler: str) -> None:
    engine = engine_with(handlers=[handler])

    @engine.cron("* * * * *", name="tick")
    async def tick() -> str:
        return "ticked"

    @engine.job(name="other")
    async def other() -> None: ...

    async with TestEngine(engine) as t:
        await engine.dispatch(other)
        await t.advance(180)
        of_cron = await engine.executions.history(cron="tick")
        everything = await engine.executions.history()
        assert len(await engine.executions.history(limit=2)) == 2
        assert [each.type for each in await engine.executions.history(type="other")] == ["other"]

    assert len(of_cron) == 3
    assert len(everything) == 4
    assert {(each.source, each.name, each.output) for each in of_cron} == {("cron", "tick", '"ticked"')}
    assert [each.ended_at for each in everything] == sorted(
        (each.ended_at for each in everything), reverse=True
    )


async def test_without_handlers_nothing_is_written_and_nothing_is_there_to_read() -> None:
    engine = Engine("memory://")

    @engine.job()
    async def work() -> None: ...

    async with TestEngine(engine) as t:
        await engine.dispatch(work)
        await t.drain()
        with pytest.raises(ConfigError, match="no execution log"):
            await engine.executions.history()

    assert list(Path().iterdir()) == []


async def test_handlers_of_ones_own_are_called_by_name_in_batches() -> None:
    engine = engine_with(handlers=["audit"])
    batches: list[list[str]] = []

    @engine.execution_handler("audit")
    async def audit(records: Sequence[ExecutionRecord]) -> None:
        batches.append([each.job_id for each in records])

    @engine.job()
    async def work() -> None: ...

    async with TestEngine(engine) as t:
        handles = [await engine.dispatch(work) for _ in range(20)]
        await t.drain()

    assert sorted(job_id for batch in batches for job_id in batch) == sorted(handle.id for handle in handles)
    assert len(batches) < 20


async def test_one_handler_that_raises_harms_no_other_and_no_job(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_with(handlers=["broken", "good"])
    good: list[ExecutionRecord] = []

    @engine.execution_handler("broken")
    async def broken(records: Sequence[ExecutionRecord]) -> None:
        raise OSError(28, "No space left on device")

    @engine.execution_handler("good")
    async def take(records: Sequence[ExecutionRecord]) -> None:
        good.extend(records)

    @engine.job()
    async def work() -> None: ...

    async with TestEngine(engine) as t:
        await engine.dispatch(work)
        with caplog.at_level(logging.ERROR):
            assert await t.drain() == {"completed": 1}

    assert len(good) == 1
    assert "can't write to broken" in caplog.text


def test_an_unknown_handler_is_named() -> None:
    engine = engine_with(handlers=["kafka"])

    with pytest.raises(ConfigError, match="nobody has registered 'kafka'; there are file, database"):
        engine.executions.handlers()


def test_a_handler_is_registered_once_and_is_async() -> None:
    engine = Engine("memory://")

    with pytest.raises(ConfigError, match="already"):
        engine.execution_handler("file")(_handler)
    engine.execution_handler("mine")(_handler)
    with pytest.raises(ConfigError, match="already"):
        engine.execution_handler("mine")(_handler)
    with pytest.raises(ConfigError, match="async function"):
        engine.execution_handler("plain")(print)  # type: ignore[type-var]


async def _handler(records: Sequence[ExecutionRecord]) -> None: ...


async def test_snoozes_and_discards_are_runs_and_jobs_handed_back_unbegun_are_none() -> None:
    engine = engine_with(handlers=["file"])

    @engine.job(name="nap")
    async def nap(ctx: JobContext) -> None:
        raise Snooze(10)

    async with TestEngine(engine) as t:
        await engine.dispatch(nap)
        await t.drain()
        (only,) = await engine.executions.history()

    assert (only.status, only.error) == ("scheduled", None)


@pytest.mark.parametrize("secret", [None, "pepper"])
async def test_the_hash_of_a_payload_tells_nothing_without_its_secret(secret: str | None) -> None:
    engine = engine_with(handlers=["file"], hash_secret=secret)

    @engine.job(name="login")
    async def login(pin: str) -> None: ...

    async with TestEngine(engine) as t:
        for pin in ("1111", "2222", "1111"):
            await engine.dispatch(login, pin)
        await t.drain()
        hashes = [each.payload_hash for each in await engine.executions.history()]

    assert len(set(hashes)) == (1 if secret is None else 2)
    assert "pepper" not in repr(engine.settings)


async def test_long_payloads_and_results_are_cut_after_they_were_masked() -> None:
    engine = engine_with(handlers=["file"], payload_chars=100, output_chars=50)

    @engine.job(name="talk")
    async def talk(text: str) -> str:
        return text

    token = "ghp_" + "a1" * 18
    async with TestEngine(engine) as t:
        await engine.dispatch(talk, "x" * 30 + " " + token + " " + "y" * 1000)
        await t.drain()
        (only,) = await engine.executions.history()

    assert only.output is not None
    assert "more" in only.output
    assert "ghp_" not in f"{only.output} {only.payload}"
    assert only.output_length > 1000
    assert isinstance(only.payload, str)


def files(tmp_path: Path, clock: ManualClock | None = None, **bounds: Any) -> ExecutionFiles:
    given: dict[str, Any] = {"file_bytes": 10_000_000, "files": 20, "age": 1e9, **bounds}
    return ExecutionFiles(str(tmp_path / "log"), clock=clock or CLOCK, **given)


def written(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "log").iterdir())


async def test_files_are_rotated_by_size_and_pruned_by_count(tmp_path: Path) -> None:
    clock = ManualClock()
    log = files(tmp_path, clock, file_bytes=1000, files=3)
    for number in range(60):
        await clock.advance(1)
        log.append([record(number)])

    assert len(written(tmp_path)) == 3
    assert all(path.stat().st_size < 2000 for path in written(tmp_path))
    newest = await log.history({}, 100)
    assert newest[0].job_id == "job-59"
    assert [each.job_id for each in newest] == [f"job-{59 - place}" for place in range(len(newest))]


def test_files_past_their_age_are_removed_with_the_next_one(tmp_path: Path) -> None:
    log = files(tmp_path, age=100)
    log.append([record(1)])
    (old,) = written(tmp_path)
    long_ago = CLOCK.now() / 1000 - 200
    os.utime(old, (long_ago, long_ago))
    later = ManualClock(moment(CLOCK.now() + 1000))
    files(tmp_path, later, age=100).append([record(2)])

    assert old not in written(tmp_path)
    assert len(written(tmp_path)) == 1


def test_files_of_other_programs_stay(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    other = tmp_path / "log" / "notes.txt"
    other.write_text("mine")
    os.utime(other, (1, 1))
    files(tmp_path, age=1, files=1).append([record(1)])

    assert other.exists()


def test_only_the_owner_reads_the_files(tmp_path: Path) -> None:
    files(tmp_path).append([record(1)])

    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    assert stat.S_IMODE(written(tmp_path)[0].stat().st_mode) == 0o600


@pytest.mark.case("X20")
@pytest.mark.parametrize("text", ["a\r\nb", "\x1b[31mred", "a\u2028b\u2029c\x85d", "\0", "\x7f"])
def test_a_record_is_one_line_whatever_is_in_it(text: str) -> None:
    line = line_of(record(1, name=text, payload={text: text}))

    assert len(line.decode().splitlines()) == 1
    assert not any(char < 0x20 for char in line[:-1])
    assert msgspec.json.decode(line, type=ExecutionRecord).name == text


async def test_a_torn_line_is_left_out_and_what_follows_is_whole(tmp_path: Path) -> None:
    log = files(tmp_path)
    log.append([record(1)])
    with written(tmp_path)[0].open("ab") as file:
        file.write(b'{"execution_id": "torn')
    log._is_torn = True
    log.append([record(2)])

    assert [each.job_id for each in await log.history({}, 10)] == ["job-2", "job-1"]


async def test_a_directory_that_can_not_be_made_is_an_error_of_the_handler(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")

    with pytest.raises(OSError, match="exists"):
        await files(tmp_path)([record(1)])


async def test_the_database_keeps_so_many_and_so_long() -> None:
    clock = ManualClock()
    store = MemoryBackend(clock=clock)
    await store.open()
    database = ExecutionDatabase(store, keep=10, age=1e9)
    await database([record(number) for number in range(1000)])
    assert [each.job_id for each in await database.history({}, 10_000)][:2] == ["job-999", "job-998"]
    assert len(await database.history({}, 10_000)) == 10

    await clock.advance(1e6)
    old = ExecutionDatabase(store, keep=10_000, age=10)
    await old([record(1, ended_at=moment(clock.now()), job_id="new")])
    assert [each.job_id for each in await old.history({}, 10)] == ["new"]


async def test_a_process_without_settings_reads_what_another_wrote_to_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    writing = Engine(url, config={"execution_log": {"handlers": ["database"]}, "listeners": {"log": False}})

    @writing.job(name="work")
    async def work() -> str:
        return "done"

    async with writing:
        handle = await writing.dispatch(work)
        await writing.worker(burst=True).run()
    async with Engine(url) as reading:
        (found,) = await reading.executions.history(job_id=handle.id)
        assert await reading.executions.history(job_id="nobody") == []

    assert (found.type, found.output, found.status) == ("work", '"done"', "completed")


async def test_a_run_costs_no_transaction_of_its_own_in_the_store(tmp_path: Path) -> None:
    counts: dict[bool, int] = {}
    for is_logged in (False, True):
        store = SqliteBackend(tmp_path / f"{is_logged}.db", clock=SystemClock(), durability="normal")
        handlers = ["database"] if is_logged else []
        config = {"execution_log": {"handlers": handlers}, "listeners": {"log": False}}
        engine = Engine(backend=store, config=config)
        work = engine.job(name="work")(_nothing)
        async with engine:
            await engine.dispatch_many(work.job() for _ in range(1000))
            await engine.worker(burst=True).run()
            counts[is_logged] = store.work.transactions
            assert len(await store.executions(ExecutionFilter(), 10_000)) == 1000 * is_logged

    assert counts[True] - counts[False] <= 60


async def _nothing() -> None: ...


@pytest.mark.parametrize("limit", [0, -1, 10_001, 10**9, True, "5", 1.5])
@pytest.mark.case("E10")
async def test_limits_without_measure_are_refused(limit: Any) -> None:
    engine = engine_with(handlers=["file"])

    with pytest.raises(ConfigError, match="limit is a whole number from 1 to 10,000"):
        await engine.executions.history(limit=limit)


def test_a_log_that_is_too_slow_drops_the_oldest_and_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    from aiojobs_engine.core.config import ExecutionLogSettings
    from aiojobs_engine.core.masking import masker_of
    from aiojobs_engine.core.outcome import Succeeded
    from aiojobs_engine.ports.observer import Execution
    from tests.unit.runs import run
    from tests.unit.test_settlement import decide

    log = ExecutionLog({}, ExecutionLogSettings(), masker_of(), CLOCK, lambda _: RetrySpec())
    execution = Execution(run().claim, Succeeded(), decide(Succeeded()), 0.1, accepted=True)
    with caplog.at_level(logging.WARNING):
        for _ in range(12):
            log.settled([execution] * 1000, 0.0)

    assert log.dropped == 12_000 - QUEUE
    assert len([each for each in caplog.records if "too slow" in each.message]) == 1
