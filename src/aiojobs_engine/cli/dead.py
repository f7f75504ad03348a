"""`dead`: jobs out of attempts, to look at, to run anew, to remove."""

from collections.abc import Callable
from typing import Any

import click

from aiojobs_engine.cli.jobs import confirm, each, one_id, show
from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import gathered, limit_options, many_more
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import note, print_json, print_table
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.engine import Engine

COLUMNS = ("id", "type", "queue", "reason", "attempts", "crashes", "ended", "error")


@click.group("dead", cls=NamingGroup)
def dead_command() -> None:
    """Jobs out of attempts: list, show, replay, purge."""


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What dead jobs have in common: type, queue, reason."""
    for option in (
        click.option("--reason", help="Only this reason, like max_attempts or crashed_worker."),
        click.option("--queue", "-q", help="Only jobs of this queue."),
        click.option("--type", "type", metavar="NAME", help="Only jobs of this type."),
    ):
        command = option(command)
    return command


@dead_command.command("list")
@click.argument("target", required=False)
@filter_options
@limit_options
@json_option
@url_option
def list_command(
    target: str | None,
    url: str | None,
    limit: int,
    cursor: str | None,
    *,
    every: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """List dead jobs, the newest first."""

    async def work() -> None:
        async with opened(target, url) as engine:
            jobs, more = await gathered(
                lambda size, after: engine.dead.list(**filters, limit=size, cursor=after),
                None if every else limit,
                cursor,
            )
        if as_json:
            print_json(jobs)
        else:
            print_table(COLUMNS, [_row(job) for job in jobs], empty="no dead jobs")
        many_more(jobs, more)

    run(work)


@dead_command.command("show")
@click.argument("arguments", nargs=-1, metavar="[TARGET] ID")
@json_option
@url_option
def show_command(arguments: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    """Show one dead job, with its traceback."""
    target, (job_id,) = one_id(arguments, url)

    async def work() -> None:
        async with opened(target, url) as engine:
            job = await engine.dead.get(job_id)
        show(job, as_json=as_json)

    run(work)


@dead_command.command("replay")
@click.argument("arguments", nargs=-1, metavar="[TARGET] [ID...]")
@filter_options
@click.option("--limit", "-n", type=click.IntRange(min=1), help="At most so many, the newest first.")
@click.option("--all", "every", is_flag=True, help="All dead jobs.")
@url_option
def replay_command(
    arguments: tuple[str, ...], url: str | None, limit: int | None, *, every: bool, **filters: Any
) -> int:
    """Run dead jobs anew: those named, those that fit, or --all."""
    target, ids = parted(arguments, url, least=0, names="ID")
    is_chosen = every or limit is not None or any(filters.values())
    if bool(ids) == is_chosen:
        raise click.UsageError("name IDs, or say which by --type, --queue, --reason, --limit or --all")

    async def act(engine: Engine, job_id: str) -> None:
        await engine.dead.replay(job_id)

    async def work() -> int:
        async with opened(target, url) as engine:
            if ids:
                return await each(engine, ids, act, "runs again")
            note(f"{await engine.dead.replay(**filters, limit=limit):,} jobs run again")
        return 0

    return run(work)


@dead_command.command("purge")
@click.argument("target", required=False)
@filter_options
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@url_option
def purge_command(target: str | None, url: str | None, *, yes: bool, **filters: Any) -> None:
    """Remove dead jobs."""
    confirm("Remove all dead jobs that fit?", yes=yes)

    async def work() -> None:
        async with opened(target, url) as engine:
            note(f"{await engine.dead.purge(**filters):,} jobs removed")

    run(work)


def _row(job: JobStatus) -> tuple[object, ...]:
    error = job.error
    return (
        job.id,
        job.type,
        job.queue,
        error.reason if error else None,
        job.attempts,
        job.crashes,
        job.finished_at,
        error.message.split("\n", 1)[0][:80] if error else None,
    )
