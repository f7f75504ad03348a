"""`queues`: list, pause, resume, purge."""

import click

from aiojobs_engine.cli.jobs import confirm
from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import Table
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import duration, note
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.wording import counted
from aiojobs_engine.ports.inspector import QueueStats

COLUMNS = ("queue", "state", "pending", "processing", "waiting", "later", "ended", "failed", "oldest")

_LATER = (Status.SCHEDULED, Status.RETRYING, Status.PAUSED)


@click.group("queues", cls=NamingGroup)
def queues_command() -> None:
    """List queues, pause, resume, purge."""


@queues_command.command("list")
@click.argument("target", required=False)
@json_option
@url_option
def list_command(target: str | None, url: str | None, *, as_json: bool) -> None:
    """List queues with their numbers of jobs."""
    _QUEUES.show(lambda engine: engine.queues.list(), target, url, as_json=as_json)


@queues_command.command("pause")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@url_option
def pause_command(arguments: tuple[str, ...], url: str | None) -> None:
    """Let no more jobs start; running ones go on."""
    target, names = parted(arguments, url, least=1, names="NAME")

    async def work() -> None:
        async with opened(target, url) as engine:
            for name in names:
                await engine.queues.pause(name)
                note(f"queue {name} is paused")

    run(work)


@queues_command.command("resume")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@url_option
def resume_command(arguments: tuple[str, ...], url: str | None) -> None:
    """Let jobs start again."""
    target, names = parted(arguments, url, least=1, names="NAME")

    async def work() -> None:
        async with opened(target, url) as engine:
            for name in names:
                await engine.queues.stats(name)
                await engine.queues.resume(name)
                note(f"queue {name} is resumed")

    run(work)


@queues_command.command("purge")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@click.option("--yes", "-y", is_flag=True, help="Don't ask; without a terminal nobody is asked.")
@url_option
def purge_command(arguments: tuple[str, ...], url: str | None, *, yes: bool) -> None:
    """Remove the jobs that wait to start."""
    target, names = parted(arguments, url, least=1, names="NAME")
    confirm(f"Remove all waiting jobs of {', '.join(names)}?", yes=yes)

    async def work() -> None:
        async with opened(target, url) as engine:
            for name in names:
                await engine.queues.stats(name)
                note(f"queue {name}: {counted(await engine.queues.purge(name), 'job')} removed")

    run(work)


def row(queue: QueueStats) -> tuple[object, ...]:
    """The cells of one queue under `COLUMNS`."""
    counts = queue.counts
    return (
        queue.name,
        "paused" if queue.paused else "open",
        counts.get(Status.PENDING, 0),
        counts.get(Status.PROCESSING, 0),
        counts.get(Status.WAITING, 0),
        sum(counts.get(status, 0) for status in _LATER),
        sum(counts.get(status, 0) for status in FINAL),
        counts.get(Status.FAILED, 0),
        duration(queue.oldest_age),
    )


_QUEUES = Table(columns=COLUMNS, row=row, empty="no queues")
