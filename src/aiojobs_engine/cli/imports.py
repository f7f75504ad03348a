"""`import`: rows of a file, through an importer."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from aiojobs_engine.cli.import_looks import (
    found_importer,
    show_preview,
    show_problems,
    source_of,
    write_template,
)
from aiojobs_engine.cli.opening import check_shared, engine_with_jobs, json_option, run, user_of
from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.running import called, show_stored, show_until_final
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.core.wording import counted

_ARGUMENTS = "[TARGET] NAME FILE"


@click.command("import")
@click.argument("arguments", nargs=-1, metavar=_ARGUMENTS)
@click.option("--user", "user_id", metavar="ID", help="Whose job it is.")
@click.option("--chunk-size", type=click.IntRange(min=1), metavar="N", help="Rows per chunk.")
@click.option(
    "--map", "pairs", multiple=True, metavar="A=b", help="Column A is the field b; may be repeated."
)
@click.option("--guess", is_flag=True, help="Map the columns that are likely fields.")
@click.option("--preview", is_flag=True, help="Show what FILE is taken for, and import nothing.")
@click.option("--template", "is_template", is_flag=True, help="Write an empty FILE to fill in; - shows it.")
@click.option("--dry-run", is_flag=True, help="Read and check every row, and keep none.")
@click.option(
    "--max-failures", type=click.IntRange(min=0), metavar="N", help="Stop when more rows have failed."
)
@click.option(
    "--max-failure-rate",
    type=click.FloatRange(0, 1),
    metavar="R",
    help="Stop when a larger share (0 to 1) of 100 rows or more has failed.",
)
@click.option("--allow-duplicates", is_flag=True, help="Import rows too whose key came before.")
@click.option("--queue", "-q", help="Another queue than its own.")
@click.option("--wait", is_flag=True, help="Wait for the end, with a progress bar.")
@json_option
def import_command(  # noqa: PLR0913 - a parameter per option
    arguments: tuple[str, ...],
    user_id: str | None,
    chunk_size: int | None,
    pairs: tuple[str, ...],
    max_failures: int | None,
    max_failure_rate: float | None,
    queue: str | None,
    *,
    guess: bool,
    preview: bool,
    is_template: bool,
    dry_run: bool,
    allow_duplicates: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Import FILE through the importer NAME, and print the job's id."""
    target, name, file = _parts(arguments)
    if is_template:
        return run(partial(write_template, target, name, file))
    if not Path(file).is_file():
        raise click.UsageError(f"there is no file {file!r}", click.get_current_context())
    mapping = _mapping(pairs)
    if preview:
        return run(partial(show_preview, target, name, file, mapping, as_json=as_json))
    call = _given(
        chunk_size=chunk_size,
        dry_run=dry_run,
        max_failures=max_failures,
        max_failure_rate=max_failure_rate,
        allow_duplicates=allow_duplicates,
    )
    options = _given(user_id=user_of(user_id), queue=queue)

    async def work() -> int:
        engine = check_shared(await engine_with_jobs(target))
        importer = found_importer(engine, name)
        if guess:
            looked = await importer.preview(file, mapping=mapping, limits=engine.settings.limits)
            mapping.update(looked.mapping)
        async with engine:
            handle = await engine.dispatch(importer.options(**options), file, mapping=mapping, **call)
            source = await source_of(engine, handle.id)
            if not as_json:
                note(f"{Path(file).name}: {source}")
            if not wait:
                return show_stored(handle, as_json=as_json, source=source)
            job = await show_until_final(engine, handle, as_json=as_json)
            if dry_run and job.failed and not as_json:
                await show_problems(engine, job.id)
        return report(job, target, is_dry=dry_run)

    return run(work)


def report(job: JobStatus, target: str | None, *, is_dry: bool = False) -> int:
    """Say on standard error how an import ended; the exit code: 0 for `completed` and `partial`."""
    counts = f"{job.succeeded:,} of {job.total:,} rows {'would go' if is_dry else 'are'} in"
    if job.skipped:
        result: Mapping[str, int] = job.result or {}
        earlier = min(job.skipped, result.get("earlier", 0))
        counts += f", {job.skipped - earlier:,} of them duplicates"
        if earlier:
            counts += f", {earlier:,} imported earlier"
    note(f"{job.status}: {counts}")
    words = [target] if target else []
    if job.failed:
        note(f"{counted(job.failed, 'row')} failed: {called('failures', 'list', *words, job.id)}")
    if job.status in (Status.COMPLETED, Status.PARTIAL):
        return 0
    if job.error is not None:
        note(f"error: {job.error.message}")
    return 1


def _parts(arguments: Sequence[str]) -> tuple[str | None, str, str]:
    context = click.get_current_context()
    match list(arguments):
        case [target, name, file]:
            chosen: str | None = target
        case [name, file]:
            chosen = None
        case _:
            raise click.UsageError(f"{_ARGUMENTS} is wanted, got {len(arguments)} arguments", context)
    return chosen, name, file


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, equals, field = pair.rpartition("=")
        if not equals or not column or not field:
            raise click.UsageError(
                f"--map is COLUMN=field, like --map E-mail=email, got {pair!r}", click.get_current_context()
            )
        mapping[column] = field
    return mapping


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None and value is not False}
