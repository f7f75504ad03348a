"""A directory of its own for one run: the database, the counters, the logs."""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from aiojobs_engine import Engine
from harness.app import registry
from harness.process import Process, huey_command, worker_command
from harness.tally import Board

_STEP = 0.005
_HELD = "SELECT 1 FROM jobs WHERE lease_until IS NOT NULL AND status = 4 LIMIT 1"
_PATIENCE = 60.0


class Place:
    """Where one run happens.

    Attributes:
        database: the SQLite file.
        board: the counters of the handlers.
    """

    def __init__(self, folder: Path, url: str | None = None, **settings: str) -> None:
        """Use `folder`, and the store at `url` in the place of a database there.

        `settings` are variables of the environment, such as `AIOJOBS_WORKER__LEASE`.
        """
        self._url = url
        self.folder = folder
        self.database = folder / "jobs.db"
        self.tally = folder / "tally"
        self.tally.mkdir()
        self.board = Board(self.tally)
        self._settings = settings
        self._started = 0

    @property
    def files(self) -> Path:
        """Where the rows of bulk jobs lie."""
        return self.folder / "files"

    @property
    def url(self) -> str:
        """Where the jobs lie."""
        return self._url or f"sqlite:///{self.database}"

    def engine(self) -> Engine:
        """An engine of this process on the same store, with the same job types."""
        return Engine(self.url, registry=registry, config={"storage": {"path": str(self.files)}})

    def worker(self, concurrency: int = 100, *options: str) -> Process:
        """Start a worker process."""
        return self._process(worker_command(concurrency, *options))

    def huey(self) -> Process:
        """Start huey's consumer."""
        return self._process(huey_command())

    async def until_settled(self) -> None:
        """Return when no lease is held any more; this looks into the file, past the engine."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            while connection.execute(_HELD).fetchone() is not None:  # noqa: ASYNC110 - a fact of other processes
                await anyio.sleep(_STEP)
        finally:
            connection.close()

    def _process(self, command: list[str]) -> Process:
        self._started += 1
        return Process(command, self.environment, self.folder / f"process-{self._started}.log")

    @property
    def environment(self) -> dict[str, str]:
        """What the processes find in their environment."""
        return {
            "AIOJOBS_URL": self.url,
            "AIOJOBS_STORAGE__PATH": str(self.files),
            "AIOJOBS_EXECUTION_LOG__PATH": str(self.folder / "executions"),
            "BENCHMARK_TALLY": str(self.tally),
            "BENCHMARK_HUEY": str(self.folder / "huey.db"),
            **self._settings,
        }


@contextmanager
def new_place(url: str | None = None, **settings: str) -> Iterator[Place]:
    """A place in the directory of temporary files, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-benchmark-"))
    try:
        yield Place(folder, url, **settings)
    finally:
        shutil.rmtree(folder)


async def until_ran(board: Board, runs: int, *processes: Process) -> None:
    """Return when so many handlers are through.

    Raises:
        RuntimeError: a process ended.
        TimeoutError: no handler came through for a minute.
    """
    last, since = -1, time.monotonic()
    while (ran := board.ran()) < runs:
        for process in processes:
            process.check_alive()
        if ran > last:
            last, since = ran, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            raise TimeoutError(f"{ran:,} of {runs:,} runs, and no more for {_PATIENCE:g} s")
        await anyio.sleep(_STEP)


async def until_working(engine: Engine, *processes: Process) -> None:
    """Return when so many workers have announced themselves.

    Raises:
        RuntimeError: a process ended.
    """
    while len((await engine.workers.list()).items) < len(processes):
        for process in processes:
            process.check_alive()
        await anyio.sleep(0.02)
