"""`demo`: the main job on real rows, with a worker process of its own, on the embedded default."""

import asyncio
import contextlib
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from aiojobs_engine.cli.demo_app import NAME, engine_in
from aiojobs_engine.cli.faults import WorkFailed
from aiojobs_engine.cli.opening import run
from aiojobs_engine.cli.output import note, table_lines
from aiojobs_engine.cli.running import called, until_final
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobFailure, JobStatus
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.task_group import join, start

_SHOWN = 20
_DATA = Path("examples", "airports", "airports.csv")
_CHECKOUT = Path(__file__).parents[3]
_LOG = "worker.log"
_PATIENCE = 10.0


@click.command("demo")
@click.option(
    "--file", type=click.Path(path_type=Path), help="Another CSV file with the columns of airports.csv."
)
def demo_command(file: Path | None) -> int:
    """Import 28,298 real airports in chunks, run by a worker, with live progress.

    What it made stays in a temporary directory, so that the commands that it prints work.
    """
    source = _source(file)
    directory = Path(tempfile.mkdtemp(prefix="aiojobs-demo-"))
    return run(lambda: _demonstrate(source, directory))


async def _demonstrate(source: Path, directory: Path) -> int:
    engine, importer = engine_in(directory)
    note(f"importing {source} on {engine.settings.url}")
    async with engine, _worker(directory) as worker:
        handle = await engine.dispatch(importer.options(user_id="demo"), source)
        job = await _until_final(engine, handle.id, worker)
        page = await engine.failures.list(job.id, limit=_SHOWN)
    click.echo("\n".join(_told(job, page.items, engine.settings.url, directory)))
    return 0 if job.status in (Status.COMPLETED, Status.PARTIAL) else 1


async def _until_final(engine: Engine, job_id: str, worker: asyncio.subprocess.Process) -> JobStatus:
    """The job when it has ended.

    Raises:
        WorkFailed: the worker ended before.
    """
    found: list[JobStatus] = []

    async def watch() -> None:
        found.append(await until_final(engine, job_id))

    async def wait() -> None:
        await worker.wait()

    tasks = [start(watch(), "demo:watch"), start(wait(), "demo:worker")]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
            await join(task)
    if not tasks[0].cancelled():
        tasks[0].result()
    if not found:
        raise WorkFailed(
            f"the worker ended with exit code {worker.returncode}; its log is in the directory above"
        )
    return found[0]


@asynccontextmanager
async def _worker(directory: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A worker process that drains when the body ends, or this process does."""
    ours, theirs = socket.socketpair()
    words = ["worker", "aiojobs_engine.cli.demo_app:here", "--lifeline", str(theirs.fileno())]
    with ours, (directory / _LOG).open("wb") as log:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "aiojobs_engine", *words),
                cwd=directory,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            ours.close()
            await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), _PATIENCE)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _source(file: Path | None) -> Path:
    """The file to import.

    Raises:
        ConfigError: there is none.
    """
    candidates = [file] if file is not None else [_DATA, _CHECKOUT / _DATA]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if file is not None:
        raise ConfigError(f"there is no file {str(file)!r}")
    raise ConfigError(f"there is no {_DATA} here: run it in a clone of the repository, or give --file PATH")


def _told(job: JobStatus, failures: Sequence[JobFailure], url: str, directory: Path) -> list[str]:
    """The summary, line by line."""
    lines: list[str] = []
    if failures:
        cells = [
            [f"{row.row_number + 1:,}", row.row_key or "-", row.field or "-", row.message] for row in failures
        ]
        lines += ["", *table_lines(("line", NAME[:-1], "field", "reason"), cells)]
    if job.failed > len(failures):
        lines.append(
            f"… and {job.failed - len(failures):,} more: {called('failures', 'list', job.id, '--url', url)}"
        )
    return [*lines, "", *_summary(job, url, directory)]


def _summary(job: JobStatus, url: str, directory: Path) -> list[str]:
    seconds = _seconds(job)
    pace = f" in {seconds:.1f} s, {job.processed / seconds:,.0f} rows/s" if seconds else ""
    return [
        f"{job.status}: {job.succeeded:,} of {job.total:,} rows imported, {job.failed:,} failed{pace}",
        f"job          {job.id}",
        f"look at it   {called('jobs', 'show', job.id, '--url', url)}",
        f"failed rows  {called('failures', 'list', job.id, '--url', url)}",
        f"the rest     {directory}",
    ]


def _seconds(job: JobStatus) -> float:
    if job.finished_at is None:
        return 0.0
    return (job.finished_at - job.created_at).total_seconds()
