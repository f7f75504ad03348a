"""`dead`: jobs out of attempts, to look at, to mend, to run anew, to remove."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from aiojobs_engine.cli.jobs import confirm, each, show
from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import Page, Table, page_options
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import note, print_json, print_table
from aiojobs_engine.core.fingerprint import fingerprint
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.core.wording import counted
from aiojobs_engine.engine import Engine

COLUMNS = ("id", "type", "queue", "reason", "fingerprint", "attempts", "crashes", "ended", "error")
GROUPS = ("fingerprint", "jobs", "type", "reason", "last", "error")


@click.group("dead", cls=NamingGroup)
def dead_command() -> None:
    """Jobs out of attempts: list, groups, show, edit, replay, purge."""


class _When(click.ParamType[datetime]):
    """An instant, UTC where it names no zone."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            found = datetime.fromisoformat(value)
        except ValueError as error:
            self.fail(f"{error}; write it like 2026-01-31T12:00", param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What dead jobs have in common."""
    for option in (
        click.option("--until", type=_When(), help="Only those that died before this instant."),
        click.option("--since", type=_When(), help="Only those that died at or after this instant."),
        click.option("--tag", help="Only jobs with this tag."),
        click.option("--user", "user_id", metavar="ID", help="Only jobs of this user."),
        click.option("--fingerprint", metavar="F", help="Only those that failed alike; see `dead groups`."),
        click.option("--reason", help="Only this reason, like max_attempts or crashed_worker."),
        click.option("--queue", "-q", help="Only jobs of this queue."),
        click.option("--type", "type", metavar="NAME", help="Only jobs of this type."),
    ):
        command = option(command)
    return command


@dead_command.command("list")
@click.argument("target", required=False)
@filter_options
@page_options
@json_option
@url_option
def list_command(target: str | None, url: str | None, page: Page, *, as_json: bool, **filters: Any) -> None:
    """List dead jobs, the newest first."""
    Table(columns=COLUMNS, row=_row, empty="no dead jobs", to_json=_print_marked).show_page(
        lambda engine, size, after: engine.dead.list(**filters, limit=size, cursor=after),
        target,
        url,
        page,
        as_json=as_json,
    )


@dead_command.command("groups")
@click.argument("target", required=False)
@filter_options
@json_option
@url_option
def groups_command(target: str | None, url: str | None, *, as_json: bool, **filters: Any) -> None:
    """Count dead jobs by what they failed of, the most first."""

    async def work() -> None:
        async with opened(target, url) as engine:
            groups = await engine.dead.groups(**filters)
        if as_json:
            print_json(groups)
            return
        rows = [
            (
                one.fingerprint,
                one.count,
                one.type,
                one.reason,
                one.last_at,
                f"{one.error}: {_first(one.message)}",
            )
            for one in groups
        ]
        print_table(GROUPS, rows, empty="no dead jobs")

    run(work)


@dead_command.command("show")
@click.argument("arguments", nargs=-1, metavar="[TARGET] ID")
@json_option
@url_option
def show_command(arguments: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    """Show one dead job, with its traceback."""
    show(arguments, url, lambda engine, job_id: engine.dead.get(job_id), as_json=as_json)


@dead_command.command("edit")
@click.argument("arguments", nargs=-1, metavar="[TARGET] ID JSON")
@url_option
def edit_command(arguments: tuple[str, ...], url: str | None) -> None:
    """Run a dead job anew with other arguments, JSON over its own; print the id of the new job."""
    target, (job_id, text) = _id_and_json(arguments, url)
    try:
        changes = msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, msgspec.MsgspecError) as error:
        raise click.UsageError(f"the changes are a JSON object, got {text!r:.60}: {error}") from error

    async def work() -> None:
        async with opened(target, url) as engine:
            handle = await engine.dead.edit(job_id, changes)
        click.echo(handle.id)

    run(work)


@dead_command.command("replay")
@click.argument("arguments", nargs=-1, metavar="[TARGET] [ID...]")
@filter_options
@click.option("--limit", "-n", type=click.IntRange(min=1), help="At most so many, the newest first.")
@click.option("--all", "every", is_flag=True, help="All dead jobs.")
@click.option("--rate", type=float, metavar="N", help="N a second, and stop when failures come back.")
@click.option(
    "--stop-after", type=click.IntRange(min=1), default=5, show_default=True, help="Dead again, with --rate."
)
@url_option
def replay_command(
    arguments: tuple[str, ...],
    url: str | None,
    limit: int | None,
    rate: float | None,
    stop_after: int,
    *,
    every: bool,
    **filters: Any,
) -> int:
    """Run dead jobs anew: those named, those that fit, or --all."""
    target, ids = parted(arguments, url, least=0, names="ID")
    is_chosen = every or limit is not None or any(filters.values())
    if bool(ids) == is_chosen:
        raise click.UsageError("name IDs, or say which by --type, --queue, --reason, --limit or --all")
    if ids and rate is not None:
        raise click.UsageError("--rate goes with a filter or --all, not with IDs")

    async def act(engine: Engine, job_id: str) -> None:
        await engine.dead.replay(job_id)

    async def work() -> int:
        async with opened(target, url) as engine:
            if ids:
                return await each(engine, ids, act, "runs again")
            if rate is None:
                note(f"{counted(await engine.dead.replay(**filters, limit=limit), 'job')} replayed")
                return 0
            done = await engine.dead.replay_slowly(rate, stop_after=stop_after, limit=limit, **filters)
        note(f"{counted(done.count, 'job')} replayed, {done.failed:,} of them dead again")
        if done.stopped:
            note(f"stopped: too many failures came back; {counted(done.left, 'job')} left as they are")
        return int(done.stopped)

    return run(work)


@dead_command.command("purge")
@click.argument("target", required=False)
@filter_options
@click.option("--yes", "-y", is_flag=True, help="Don't ask; without a terminal nobody is asked.")
@url_option
def purge_command(target: str | None, url: str | None, *, yes: bool, **filters: Any) -> None:
    """Remove dead jobs."""
    confirm("Remove all dead jobs that fit?", yes=yes)

    async def work() -> None:
        async with opened(target, url) as engine:
            note(f"{counted(await engine.dead.purge(**filters), 'job')} removed")

    run(work)


def _id_and_json(arguments: tuple[str, ...], url: str | None) -> tuple[str | None, list[str]]:
    target, rest = parted(arguments, url, least=2, names="ID JSON")
    if rest[2:]:
        raise click.UsageError(f"one ID and one JSON object are wanted, got {' '.join(rest)!r:.80}")
    return target, rest


def _print_marked(jobs: list[JobStatus]) -> None:
    print_json(
        [{**msgspec.structs.asdict(job), "fingerprint": fingerprint(job.type, job.error)} for job in jobs]
    )


def _first(message: str) -> str:
    return message.split("\n", 1)[0][:80]


def _row(job: JobStatus) -> tuple[object, ...]:
    error = job.error
    return (
        job.id,
        job.type,
        job.queue,
        error.reason if error else None,
        fingerprint(job.type, error),
        job.attempts,
        job.crashes,
        job.finished_at,
        _first(error.message) if error else None,
    )
