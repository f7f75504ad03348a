"""Waiting for a job at the command line."""

import contextlib
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from aiojobs_engine.cli.output import note, print_json
from aiojobs_engine.cli.progress import progress
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.engine import Engine
from aiojobs_engine.handle import JobHandle

_LOOK = 0.1


def program() -> str:
    """How a person calls this program again, from where they are."""
    name = Path(sys.argv[0])
    if name.name != "__main__.py":
        return name.name if shutil.which(name.name) else str(name)
    python = Path(sys.executable)
    if shutil.which("python") == str(python):
        return "python -m aiojobs_engine"
    with contextlib.suppress(ValueError):
        python = python.relative_to(Path.cwd())
    return f"{python} -m aiojobs_engine"


def called(*words: str) -> str:
    """A command line to copy."""
    return f"{program()} {shlex.join(words)}"


async def hint_at_workers(engine: Engine, job_id: str) -> None:
    """Say so when no worker serves the queue of a job that somebody waits for."""
    job = await engine.jobs.get(job_id)
    served = {queue async for worker in engine.workers.list() for queue in worker.queues}
    if job.queue not in served and job.status not in FINAL:
        command = called("worker", engine.target or "TARGET")
        note(f"no worker serves queue {job.queue!r} yet; start one: {command}")


def show_stored(handle: JobHandle[Any], *, as_json: bool, **more: object) -> int:
    """Print the id of a job that was stored, as JSON with `more`; the exit code."""
    if as_json:
        print_json({"id": handle.id, "created": handle.created, **more})
    else:
        click.echo(handle.id)
    return 0


async def show_until_final(engine: Engine, handle: JobHandle[Any], *, as_json: bool) -> JobStatus:
    """Print the id, and `until_final` the progress; the job then, which `as_json` prints in the id's place.

    Raises:
        JobNotFound: it is not stored any more.
    """
    click.echo(handle.id, err=as_json)
    await hint_at_workers(engine, handle.id)
    job = await until_final(engine, handle.id)
    if as_json:
        print_json(job)
    return job


async def until_final(engine: Engine, job_id: str) -> JobStatus:
    """The job as soon as it has ended, with its progress on standard error until then.

    Raises:
        JobNotFound: it is not stored any more.
    """
    with progress(engine.clock) as show:
        while True:
            job = await engine.jobs.get(job_id)
            show(job)
            if job.status in FINAL:
                return job
            await engine.clock.sleep(_LOOK)
