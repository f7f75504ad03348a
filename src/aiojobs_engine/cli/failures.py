"""`failures`: the rows of a bulk job that failed."""

import sys
from pathlib import Path

import click

from aiojobs_engine.cli.imports import report
from aiojobs_engine.cli.jobs import one_id
from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import Page, Table, page_options
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.running import hint_at_workers, until_final
from aiojobs_engine.core.status import JobFailure
from aiojobs_engine.core.wording import counted

COLUMNS = ("row", "key", "field", "reason", "attempts", "resolved")


@click.group("failures", cls=NamingGroup)
def failures_command() -> None:
    """Failed rows of a bulk job: list, export, retry."""


@failures_command.command("list")
@click.argument("arguments", nargs=-1, metavar="[TARGET] JOB")
@click.option("--unresolved", is_flag=True, help="Only rows that no retry has mended.")
@page_options
@json_option
@url_option
def list_command(
    arguments: tuple[str, ...], url: str | None, page: Page, *, unresolved: bool, as_json: bool
) -> None:
    """List the failed rows of JOB, in row order."""
    target, (job_id,) = one_id(arguments, url)
    Table(columns=COLUMNS, row=row, empty="no failed rows").show_page(
        lambda engine, size, after: engine.failures.list(
            job_id, unresolved=unresolved, limit=size, cursor=after
        ),
        target,
        url,
        page,
        as_json=as_json,
    )


@failures_command.command("export")
@click.argument("arguments", nargs=-1, metavar="[TARGET] JOB [FILE]")
@click.option("--all", "every", is_flag=True, help="Rows that a retry has mended, too.")
@url_option
def export_command(arguments: tuple[str, ...], url: str | None, *, every: bool) -> None:
    """Write the unresolved rows, to mend and import: their columns, _row, _field and _error.

    The end of FILE says the form, as for exports; without one CSV goes to standard output.
    """
    target, rest = parted(arguments, url, least=1, names="JOB")
    if len(rest) > 2:  # noqa: PLR2004 - a job and a file
        raise click.UsageError(
            "too many arguments: [TARGET] JOB [FILE] is wanted", click.get_current_context()
        )
    file = Path(rest[1]) if len(rest) > 1 and rest[1] != "-" else None

    async def work() -> None:
        async with opened(target, url) as engine:
            to = sys.stdout.buffer if file is None else file
            count = await engine.failures.export(rest[0], to, unresolved=not every)
        note(f"{counted(count, 'row')} written{f' to {file}' if file else ''}")

    run(work)


@failures_command.command("retry")
@click.argument("arguments", nargs=-1, metavar="[TARGET] JOB")
@click.option("--wait", is_flag=True, help="Wait for the end, with a progress bar.")
@url_option
def retry_command(arguments: tuple[str, ...], url: str | None, *, wait: bool) -> int:
    """Run only the unresolved rows of JOB again."""
    target, (job_id,) = one_id(arguments, url)

    async def work() -> int:
        async with opened(target, url) as engine:
            await engine.failures.retry(job_id)
            if not wait:
                note(f"the failed rows of {job_id} run again")
                return 0
            await hint_at_workers(engine, job_id)
            return report(await until_final(engine, job_id), target)

    return run(work)


def row(failure: JobFailure) -> tuple[object, ...]:
    """The cells of one failed row under `COLUMNS`."""
    return (
        failure.row_number,
        failure.row_key,
        failure.field,
        failure.message,
        failure.attempts,
        failure.resolved,
    )
