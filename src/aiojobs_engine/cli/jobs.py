"""`jobs`: list, show, explain, cancel, retry, delete, purge, pause, resume."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from aiojobs_engine.cli.faults import WorkFailed
from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import Page, Table, page_options
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import duration, note, print_facts, print_json, shown
from aiojobs_engine.core.errors import EngineError
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.core.wording import counted
from aiojobs_engine.engine import Engine

COLUMNS = ("id", "type", "status", "queue", "done", "failed", "attempts", "created", "message")


@click.group("jobs", cls=NamingGroup)
def jobs_command() -> None:
    """List jobs, look at one, intervene."""


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What jobs have in common: type, kind, queue, user, tag."""
    for option in (
        click.option("--tag", help="Only jobs with this tag."),
        click.option("--user", "user_id", metavar="ID", help="Only jobs of this user."),
        click.option("--queue", "-q", help="Only jobs of this queue."),
        click.option("--kind", help="Only jobs of this kind, like import."),
        click.option("--type", "type", metavar="NAME", help="Only jobs of this type."),
        click.option(
            "--status", "-s", multiple=True, metavar="STATUS", help="Only this status; may be repeated."
        ),
    ):
        command = option(command)
    return command


@jobs_command.command("list")
@click.argument("target", required=False)
@filter_options
@click.option(
    "--parent", "parent_id", metavar="ID", help="Only chunks of this bulk job, or members of this batch."
)
@click.option("--chunks", is_flag=True, help="Chunks of bulk jobs and members of batches, too.")
@page_options
@json_option
@url_option
def list_command(
    target: str | None, url: str | None, page: Page, *, chunks: bool, as_json: bool, **filters: Any
) -> None:
    """List jobs, the newest first; chunks and members only with --chunks or --parent."""
    filters["status"] = filters["status"] or None
    Table(columns=COLUMNS, row=row, empty="no jobs").show_page(
        lambda engine, size, after: engine.jobs.list(**filters, limit=size, cursor=after),
        target,
        url,
        page,
        as_json=as_json,
        wanted=lambda job: chunks or filters["parent_id"] is not None or job.parent_id is None,
    )


@jobs_command.command("show")
@click.argument("arguments", nargs=-1, metavar="[TARGET] ID")
@json_option
@url_option
def show_command(arguments: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    """Show one job."""
    show(arguments, url, lambda engine, job_id: engine.jobs.get(job_id), as_json=as_json)


@jobs_command.command("explain")
@click.argument("arguments", nargs=-1, metavar="[TARGET] ID")
@json_option
@url_option
def explain_command(arguments: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    """Say why a job is not running, or what holds it."""
    target, (job_id,) = one_id(arguments, url)

    async def work() -> None:
        async with opened(target, url) as engine:
            explanation = await engine.explain(job_id)
        if as_json:
            print_json(explanation)
            return
        click.echo(shown(f"{explanation.job_id} is {explanation.status}"))
        for reason in explanation.reasons:
            click.echo(shown(f"  {reason.code}: {reason.message}"))

    run(work)


@jobs_command.command("purge")
@click.argument("target", required=False)
@filter_options
@click.option("--yes", "-y", is_flag=True, help="Don't ask; without a terminal nobody is asked.")
@url_option
def purge_command(target: str | None, url: str | None, *, yes: bool, **filters: Any) -> None:
    """Remove jobs that have ended."""
    confirm("Remove all jobs that have ended and fit?", yes=yes)

    async def work() -> None:
        filters["status"] = filters["status"] or None
        async with opened(target, url) as engine:
            count = await engine.jobs.purge(**filters)
        note(f"{counted(count, 'job')} removed")

    run(work)


def one_id(arguments: tuple[str, ...], url: str | None) -> tuple[str | None, list[str]]:
    """TARGET and exactly one id.

    Raises:
        UsageError: there is no id, or there are several.
    """
    target, ids = parted(arguments, url, least=1, names="ID")
    if len(ids) > 1:
        raise click.UsageError(f"one ID is wanted, got {' '.join(ids)!r}", click.get_current_context())
    return target, ids


def show(
    arguments: tuple[str, ...],
    url: str | None,
    get: Callable[[Engine, str], Awaitable[JobStatus]],
    *,
    as_json: bool,
) -> None:
    """Show the one job that `arguments` name, as `get` finds it."""
    target, (job_id,) = one_id(arguments, url)

    async def work() -> None:
        async with opened(target, url) as engine:
            job = await get(engine, job_id)
        _show(job, as_json=as_json)

    run(work)


def _show(job: JobStatus, *, as_json: bool) -> None:
    """One job with all its fields."""
    if as_json:
        print_json(job)
        return
    facts: list[tuple[str, object]] = [
        (name, getattr(job, name))
        for name in JobStatus.__struct_fields__
        if name not in ("error", "eta_seconds")
    ]
    if job.eta_seconds is not None:
        facts.append(("eta", duration(job.eta_seconds)))
    if job.error is not None:
        facts.append(("error", f"{job.error.type}: {job.error.message}"))
        facts.append(("reason", job.error.reason))
    print_facts(facts)
    if job.error is not None and job.error.traceback:
        click.echo()
        click.echo("\n".join(shown(line) for line in job.error.traceback.rstrip().split("\n")))


def row(job: JobStatus) -> tuple[object, ...]:
    """The cells of one job under `COLUMNS`."""
    done = f"{job.processed:,}/{job.total:,}" if job.total else None
    words = job.message or (job.error.message.split("\n", 1)[0][:60] if job.error else None)
    return (
        job.id,
        job.type,
        job.status,
        job.queue,
        done,
        job.failed or None,
        job.attempts,
        job.created_at,
        words,
    )


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person at a terminal; programs are taken at their word.

    Raises:
        WorkFailed: the answer was no.
    """
    is_asked = not yes and sys.stdin is not None and sys.stdin.isatty()
    if is_asked and not click.confirm(question, err=True):
        raise WorkFailed("nothing was removed")


async def each(
    engine: Engine, ids: list[str], act: Callable[[Engine, str], Awaitable[None]], done: str
) -> int:
    """Do something to each job; what can't be done is one line each. The exit code: 1 when any could not."""
    failed = 0
    for job_id in ids:
        try:
            await act(engine, job_id)
        except EngineError as error:
            failed = 1
            note(f"error: {error}")
        else:
            note(f"{job_id} {done}")
    return failed


def _intervention(name: str, done: str, text: str) -> None:
    async def act(engine: Engine, job_id: str) -> None:
        await getattr(engine.jobs, name)(job_id)

    @jobs_command.command(name, help=text)
    @click.argument("arguments", nargs=-1, metavar="[TARGET] ID...")
    @url_option
    def command(arguments: tuple[str, ...], url: str | None) -> int:
        target, ids = parted(arguments, url, least=1, names="ID")

        async def work() -> int:
            async with opened(target, url) as engine:
                return await each(engine, ids, act, done)

        return run(work)

    del command


_intervention(
    "cancel", "is cancelled, or told so where it runs", "End queued jobs; tell running ones to end."
)
_intervention("retry", "runs again", "Run jobs anew that ended without success.")
_intervention("delete", "is removed", "Remove jobs that nobody runs.")
_intervention("pause", "is paused, or will be at its next checkpoint", "Park jobs.")
_intervention("resume", "is resumed", "Let paused jobs run.")
