"""`top`: queues, workers and running bulk jobs, live."""

import asyncio
import sys
from collections.abc import Sequence
from shutil import get_terminal_size

import click

from aiojobs_engine.cli.opening import opened, run, url_option
from aiojobs_engine.cli.output import duration, is_terminal, shown, table_lines
from aiojobs_engine.cli.queues import COLUMNS as QUEUE_COLUMNS
from aiojobs_engine.cli.queues import row as queue_row
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.engine import Engine

_BULK_COLUMNS = ("id", "type", "status", "done", "", "failed", "eta", "message")
_WORKER_COLUMNS = ("worker", "pid", "running", "slots", "queues", "up", "heard of")
_MOST_JOBS = 15
_BAR = 20
_CLEAR = "\x1b[H\x1b[2J"


@click.command("top")
@click.argument("target", required=False)
@click.option("--once", is_flag=True, help="One frame, and end.")
@click.option("--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, metavar="S")
@url_option
def top_command(target: str | None, url: str | None, interval: float, *, once: bool) -> None:
    """Watch queues, workers and running bulk jobs; Ctrl-C ends it."""

    async def work() -> None:
        async with opened(target, url) as engine:
            while True:
                lines = await frame(engine)
                if once or not is_terminal():
                    click.echo("\n".join(lines))
                else:
                    size = get_terminal_size()
                    cut = [line[: size.columns] for line in lines[: size.lines - 1]]
                    sys.stdout.write(_CLEAR + "\n".join(cut) + "\n")
                    sys.stdout.flush()
                if once:
                    return
                await engine.clock.sleep(interval)

    try:
        run(work)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return


async def frame(engine: Engine) -> list[str]:
    """What stands now, as lines."""
    health = await engine.health()
    queues = [queue async for queue in engine.queues.list()]
    workers = [worker async for worker in engine.workers.list()]
    now = engine.clock.now()
    return [
        f"{moment(now):%H:%M:%S}Z  {'ok' if health.ok else 'not ok: ' + '; '.join(health.problems)}",
        "",
        *_block(QUEUE_COLUMNS, [queue_row(queue) for queue in queues], "no queues"),
        "",
        *_block(
            _WORKER_COLUMNS,
            [
                (
                    worker.id,
                    str(worker.pid),
                    worker.running,
                    worker.slots,
                    worker.queues,
                    duration((now - worker.started_at) / 1000),
                    f"{duration(max(0, now - worker.beat_at) / 1000)} ago",
                )
                for worker in workers
            ],
            "no workers",
        ),
        "",
        *_block(_BULK_COLUMNS, [_bulk_row(job) for job in await _bulk_jobs(engine)], "no bulk jobs run"),
    ]


async def _bulk_jobs(engine: Engine) -> list[JobStatus]:
    """Jobs that wait for chunks, and single jobs that report progress; the newest first."""
    found: list[JobStatus] = []
    for status in (Status.WAITING, Status.PROCESSING):
        page = await engine.jobs.list(status=status, limit=100)
        found += [job for job in page.items if job.parent_id is None and (job.kind != "job" or job.total)]
    return sorted(found, key=lambda job: job.id, reverse=True)[:_MOST_JOBS]


def _bulk_row(job: JobStatus) -> tuple[object, ...]:
    share = job.processed / job.total if job.total else 0.0
    bar = ("#" * int(share * _BAR)).ljust(_BAR, ".")
    done = f"{job.processed:,}/{job.total:,}"
    return (job.id, job.type, job.status, done, bar, job.failed, duration(job.eta_seconds), job.message)


def _block(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> list[str]:
    return table_lines(columns, [[shown(cell) for cell in row] for row in rows]) if rows else [empty]
