"""`failures`: the rows of a bulk job that failed."""

import csv
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import click
import msgspec

from aiojobs_engine.cli.imports import report
from aiojobs_engine.cli.jobs import one_id
from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import gathered, limit_options, many_more
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import note, print_json, print_table
from aiojobs_engine.cli.running import hint_at_workers, until_final
from aiojobs_engine.core.status import JobFailure
from aiojobs_engine.engine import Engine

COLUMNS = ("row", "key", "field", "reason", "attempts", "resolved")
_OWN_COLUMNS = ("_row", "_field", "_error")
_PAGE = 1000


@click.group("failures", cls=NamingGroup)
def failures_command() -> None:
    """Failed rows of a bulk job: list, export, retry."""


@failures_command.command("list")
@click.argument("arguments", nargs=-1, metavar="[TARGET] JOB")
@click.option("--unresolved", is_flag=True, help="Only rows that no retry has mended.")
@limit_options
@json_option
@url_option
def list_command(
    arguments: tuple[str, ...],
    url: str | None,
    limit: int,
    cursor: str | None,
    *,
    unresolved: bool,
    every: bool,
    as_json: bool,
) -> None:
    """List the failed rows of JOB, in row order."""
    target, (job_id,) = one_id(arguments, url)

    async def work() -> None:
        async with opened(target, url) as engine:
            failures, more = await gathered(
                lambda size, after: engine.failures.list(
                    job_id, unresolved=unresolved, limit=size, cursor=after
                ),
                None if every else limit,
                cursor,
            )
        if as_json:
            print_json(failures)
        else:
            print_table(COLUMNS, [row(failure) for failure in failures], empty="no failed rows")
        many_more(failures, more)

    run(work)


@failures_command.command("export")
@click.argument("arguments", nargs=-1, metavar="[TARGET] JOB [FILE]")
@click.option("--all", "every", is_flag=True, help="Rows that a retry has mended, too.")
@url_option
def export_command(arguments: tuple[str, ...], url: str | None, *, every: bool) -> None:
    """Write the unresolved rows as CSV, to mend and import: their columns, _row, _field and _error."""
    target, rest = parted(arguments, url, least=1, names="JOB")
    if len(rest) > 2:  # noqa: PLR2004 - a job and a file
        raise click.UsageError(
            "too many arguments: [TARGET] JOB [FILE] is wanted", click.get_current_context()
        )
    file = Path(rest[1]) if len(rest) > 1 and rest[1] != "-" else None

    async def work() -> None:
        async with opened(target, url) as engine:
            columns, count = await _surveyed(engine, rest[0], every=every)
            with (
                nullcontext(sys.stdout)
                if file is None
                else file.open("w", newline="", encoding="utf-8") as out
            ):
                await _write(engine, rest[0], out, columns, every=every)
        note(f"{count:,} rows written{f' to {file}' if file else ''}")

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


async def _surveyed(engine: Engine, job_id: str, *, every: bool) -> tuple[list[str], int]:
    """The columns of the failed rows, in the order of their appearance, and how many rows there are."""
    columns: dict[str, None] = {}
    count = 0
    async for failure in engine.failures.list(job_id, unresolved=not every, limit=_PAGE):
        columns.update(dict.fromkeys(failure.payload))
        count += 1
    return list(columns), count


async def _write(engine: Engine, job_id: str, out: TextIO, columns: Sequence[str], *, every: bool) -> None:
    writer = csv.writer(out)
    writer.writerow([*columns, *_OWN_COLUMNS])
    async for failure in engine.failures.list(job_id, unresolved=not every, limit=_PAGE):
        cells = [_cell(failure.payload.get(column)) for column in columns]
        writer.writerow([*cells, failure.row_number, failure.field or "", failure.message])


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return msgspec.json.encode(value, enc_hook=str).decode()
