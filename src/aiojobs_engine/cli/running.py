"""Waiting for a job at the command line."""

import contextlib
import shlex
import shutil
import sys
from pathlib import Path

from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.progress import progress
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.engine import Engine

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
