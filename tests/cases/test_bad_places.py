"""Bad places for a store: URLs, configuration, files and disks, met through the engine."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from aiojobs_engine import Engine
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.errors import (
    BackendFull,
    BackendUnavailable,
    ConfigError,
    EngineError,
    SchemaMismatch,
)
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.system_clock import SystemClock
from tests.cases.invariants import check_store, every_job
from tests.cases.stores import store_of

NOBODY = 65534

WRONG_URLS = {
    "jobs.db": "looks like 'sqlite:///jobs.db'",
    "": "looks like 'sqlite:///jobs.db'",
    "sqlit:///jobs.db": "did you mean 'sqlite'",
    "sqlite://jobs.db": "is written sqlite:///relative.db or sqlite:////absolute.db",
    "sqlite:///": "is written sqlite:///relative.db or sqlite:////absolute.db",
    "sqlite:///\ud800.db": "is written sqlite:///relative.db or sqlite:////absolute.db",
    "sqlite:///:memory:": "use memory://",
    "memory://jobs": "takes nothing after memory://",
    "postgres://localhost/jobs": "no backend has the scheme 'postgres'",
    "http://user:secret@host/": "no backend has the scheme 'http'",
}


@pytest.mark.parametrize("url, message", WRONG_URLS.items())
async def test_a_wrong_url_is_refused_with_the_right_form_and_without_its_password(
    url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        async with Engine(url):
            pass

    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"wroker": {}}, "there is no setting 'wroker'; did you mean 'worker'"),
    ({"worker": {"concurency": 1}}, r"'worker\.concurency'; did you mean 'concurrency'"),
    ({"worker": {"concurrency": 0}}, r"worker\.concurrency = 0 is wrong"),
    ({"worker": {"lease": 0}}, r"worker\.lease = 0 is wrong"),
    ({"worker": {"lease": "soon"}}, r"worker\.lease = 'soon' is wrong.*'30s'"),
    ({"worker": 5}, "worker is a section, got 5"),
    ({"defaults": {"retry": {"max_attempts": 0}}}, r"defaults\.retry is wrong.*at least 1"),
    ({"defaults": {"retry": {"polcy": "none"}}}, r"'defaults\.retry\.polcy'; did you mean 'policy'"),
    ({"jobs": {"app.mail": {"queu": "mail"}}}, r"'jobs\.app\.mail\.queu'; did you mean 'queue'"),
    ({"sqlite": {"durability": "max"}}, r"sqlite\.durability = 'max' is wrong"),
]


@pytest.mark.parametrize("config, message", WRONG_SETTINGS, ids=[str(config) for config, _ in WRONG_SETTINGS])
def test_a_wrong_setting_is_named_with_what_would_be_right(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine("memory://", config=config)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text TEXT)")
    other.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA application_id = {0x61696F6A}")
        other.execute("PRAGMA user_version = 99")
    other.close()


def _text(path: Path) -> None:
    path.write_text("id,name\n" * 1000, encoding="utf-8")


@pytest.mark.parametrize(
    "write, message",
    [
        (_foreign, "belongs to another program; name another file in the URL"),
        (_newer, "schema version 99.*upgrade aiojobs-engine"),
        (_text, "is not an SQLite database; name another file in the URL"),
    ],
)
async def test_a_file_that_is_not_ours_is_refused_and_left_as_it_was(
    write: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.db"
    write(path)
    before = path.read_bytes()

    with pytest.raises(SchemaMismatch, match=message):
        async with Engine(f"sqlite:///{path}"):
            pass

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["jobs.db"]


async def test_a_directory_that_is_missing_or_taken_for_a_file_is_named(tmp_path: Path) -> None:
    places = {
        tmp_path / "no" / "jobs.db": "create it first",
        tmp_path: "is a directory",
        tmp_path / ("j" * 250): "can't be the name of a database: File name too long",
    }
    for path, message in places.items():
        with pytest.raises(ConfigError, match=message):
            async with Engine(f"sqlite:///{path}"):
                pass
    assert list(tmp_path.iterdir()) == []


OPENS = """
import asyncio, os, sys
from aiojobs_engine import Engine, EngineError
import aiojobs_engine.backends.sqlite.backend
if os.geteuid() == 0:
    os.setgid({nobody})
    os.setuid({nobody})

async def main():
    async with Engine("sqlite:///" + sys.argv[1]):
        print("opened")

try:
    asyncio.run(main())
except EngineError as error:
    print(type(error).__name__, error)
"""


def _open_as_nobody(path: Path) -> str:
    program = OPENS.format(nobody=NOBODY)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=30, check=True
    )
    return ran.stdout.strip()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that everybody can reach: those of pytest are open to their owner only."""
    with TemporaryDirectory() as made:
        path = Path(made)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


def test_a_read_only_directory_is_refused_by_its_name(shared: Path) -> None:
    shared.chmod(0o555)

    assert _open_as_nobody(shared / "jobs.db").startswith(f"ConfigError {shared} is read-only; SQLite writes")
    assert list(shared.iterdir()) == []


def test_a_read_only_file_is_refused_by_its_name(shared: Path) -> None:
    path = shared / "jobs.db"
    path.touch()
    path.chmod(0o444)
    shared.chmod(0o777)

    assert _open_as_nobody(path) == f"ConfigError {path} is read-only; make it writable for this user"
    assert (path.read_bytes(), [file.name for file in shared.iterdir()]) == (b"", ["jobs.db"])


async def test_a_locked_file_is_an_error_that_may_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    engine = Engine(f"sqlite:///{path}")

    @engine.job()
    async def any_job(number: int) -> None: ...

    async with engine:
        await engine.dispatch(any_job, number=0)
        store_of(engine)._writer._turns._patience = 0.1
        job = any_job.job(number=1)
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BackendUnavailable, match=r"held the write lock of .* too long"):
                await engine.dispatch(job)
            assert len((await engine.jobs.list()).items) == 1
            other.execute("ROLLBACK")
        other.close()
        assert (await engine.dispatch(job)).created
        await check_store(store_of(engine))


class Tight(SqliteBackend):
    """A store on a disk of a few pages."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        return connection

    async def grow(self) -> None:
        """Make room."""
        assert self._writer is not None
        await self._writer.submit(
            lambda tx: tx._connection.execute("PRAGMA max_page_count = 100000").fetchone(), is_read=True
        )


async def test_a_full_disk_refuses_whole_jobs_and_loses_none_that_was_taken(tmp_path: Path) -> None:
    store = Tight(tmp_path / "jobs.db", clock=SystemClock(), durability="normal")
    engine = Engine(backend=store)
    taken: set[str] = set()
    refused: list[Any] = []

    @engine.job()
    async def heavy(number: int, text: str) -> int:
        return number

    async with engine:
        for number in range(200):
            job = heavy.job(number=number, text="x" * 4_000)
            try:
                taken.add((await engine.dispatch(job)).id)
            except BackendFull as error:
                assert "free disk space, purge or prune jobs" in str(error)  # noqa: PT017 - one of many
                refused.append(job)
        assert taken
        assert refused
        assert {job.id for job in await every_job(store)} == taken
        await check_store(store)
        worker = engine.worker(burst=True)
        working = engine._life.door().loop.create_task(worker.run())
        await store.grow()
        await working
        for job in refused:
            assert (await engine.dispatch(job)).created
        await engine.worker(burst=True).run()
        found = await every_job(store)
        await check_store(store)

    assert {(job.status, job.attempts) for job in found} == {(Status.COMPLETED, 1)}
    assert len(found) == 200


async def test_an_engine_that_is_not_open_says_so(tmp_path: Path) -> None:
    engine = Engine(f"sqlite:///{tmp_path / 'jobs.db'}")

    @engine.job()
    async def any_job() -> None: ...

    with pytest.raises(EngineError, match="use it inside `async with engine:`"):
        await engine.dispatch(any_job)
    assert list(tmp_path.iterdir()) == []
