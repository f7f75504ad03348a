"""Real workers on one store, and facts to wait for, each with a bound."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import anyio

from aiojobs_engine import Engine
from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.runtime.system_clock import SystemClock
from tests.cases.invariants import check_store
from tests.faults import case_app
from tests.house.tree import ROOT

BOUND = 20.0
T = 2.0
RESCUE = 0.5

_T = TypeVar("_T")


class Done(NamedTuple):
    """A line of what handlers did."""

    job_id: str
    token: int
    pid: int
    what: str
    at: float


class Scene:
    """A store, processes that work on it, and what they did."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        """Lie in an SQLite file in `folder`, or on the server of Redis at `url`."""
        self.folder = folder
        self.url = url or f"sqlite:///{folder / 'jobs.db'}"
        self.store: SqliteBackend | RedisBackend = (
            SqliteBackend(folder / "jobs.db", clock=SystemClock(), durability="normal")
            if url is None
            else RedisBackend(read_address(url), clock=SystemClock())
        )
        self.engine = Engine(backend=self.store, registry=case_app.engine.registry)
        self._log = folder / "log"
        self._started: list[subprocess.Popen[bytes]] = []

    def worker(self, *words: str, **environ: str) -> "subprocess.Popen[bytes]":
        """A worker process; `environ` adds to settings of lease 2 s and rescue every 0.5 s."""
        command = [sys.executable, "-m", "aiojobs_engine", "worker", "tests.faults.case_app:engine", *words]
        made = subprocess.Popen(
            command, cwd=ROOT, env=self._environ(environ), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._started.append(made)
        return made

    def _environ(self, more: dict[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "AIOJOBS_URL": self.url,
            "AIOJOBS_WORKER__LEASE": str(T),
            "AIOJOBS_WORKER__RESCUE_INTERVAL": str(RESCUE),
            "AIOJOBS_WORKER__CANCEL_TIMEOUT": "0.5",
            "CASE_LOG": str(self._log),
            **more,
        }

    async def dispatch(self, job_type: Any, count: int = 1, **arguments: Any) -> list[str]:
        """Store jobs; their ids."""
        jobs = [job_type.job(**arguments) for _ in range(count)]
        return [handle.id for handle in await self.engine.dispatch_many(jobs)]

    def log(self, job_id: str | None = None, what: str | None = None) -> list[Done]:
        """What handlers did so far."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        parts = [line.split() for line in lines]
        done = [Done(word[0], int(word[1]), int(word[2]), word[3], float(word[4])) for word in parts]
        return [each for each in done if job_id in (None, each.job_id) and what in (None, each.what)]

    async def status(self, job_id: str) -> JobStatus:
        (found,) = await self.store.get([job_id])
        assert found is not None
        return found

    async def names(self, job_id: str) -> list[str]:
        """The events of a job."""
        events, _ = await self.store.read(None, 100_000)
        return [type(event).__name__ for event in events if event.job_id == job_id]

    async def until(self, fact: Callable[[], _T], what: str, bound: float = BOUND) -> _T:
        """The fact, as soon as it holds."""
        end = time.monotonic() + bound
        while not (found := fact()):
            assert time.monotonic() < end, f"{what} within {bound} s; {self.told()}"
            await anyio.sleep(0.01)
        return found

    async def until_status(self, job_id: str, *wanted: Status, bound: float = BOUND) -> JobStatus:
        end = time.monotonic() + bound
        while (found := await self.status(job_id)).status not in wanted:
            assert time.monotonic() < end, f"{found.status} after {bound} s; {self.told()}"
            await anyio.sleep(0.01)
        return found

    async def until_workers(self, count: int) -> None:
        end = time.monotonic() + BOUND
        while len(await self.store.workers()) != count:
            assert time.monotonic() < end, f"{count} workers within {BOUND} s; {self.told()}"
            await anyio.sleep(0.01)

    def told(self) -> str:
        """How the processes are, for the message of a failure."""
        return f"exit codes {[process.poll() for process in self._started]}, log {self.log()}"

    async def ended(self, process: "subprocess.Popen[bytes]", bound: float = BOUND) -> str:
        """What a process wrote on standard error, as soon as it has ended."""
        _, said = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=bound))
        return said.decode()

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Scene]:
    """A store without workers; what it holds at the end is checked."""
    scene = Scene(folder)
    async with scene.engine:
        try:
            yield scene
        finally:
            scene.close()
        await check_store(scene.store)


__all__ = ["BOUND", "RESCUE", "Done", "Scene", "T", "case_app", "opened"]
