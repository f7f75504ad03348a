"""`import`: rows of a file, through an importer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from aiojobs_engine.cli.opening import check_shared, engine_with_jobs, json_option, run, user_of
from aiojobs_engine.cli.output import note, print_json
from aiojobs_engine.cli.running import called, hint_at_workers, until_final
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.registry import JobType

_ARGUMENTS = "[TARGET] NAME FILE"
_KIND = "import"


@click.command("import")
@click.argument("arguments", nargs=-1, metavar=_ARGUMENTS)
@click.option("--user", "user_id", metavar="ID", help="Whose job it is.")
@click.option("--chunk-size", type=click.IntRange(min=1), metavar="N", help="Rows per chunk.")
@click.option(
    "--map", "pairs", multiple=True, metavar="A=b", help="Column A is the field b; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Read and check every row, and keep none.")
@click.option(
    "--max-failures", type=click.IntRange(min=0), metavar="N", help="Stop when more rows have failed."
)
@click.option("--queue", "-q", help="Another queue than its own.")
@click.option("--wait", is_flag=True, help="Wait for the end, with a progress bar.")
@json_option
def import_command(
    arguments: tuple[str, ...],
    user_id: str | None,
    chunk_size: int | None,
    pairs: tuple[str, ...],
    max_failures: int | None,
    queue: str | None,
    *,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Import FILE through the importer NAME, and print the job's id."""
    target, name, file = _parts(arguments)
    call = _given(
        chunk_size=chunk_size, mapping=_mapping(pairs) or None, dry_run=dry_run, max_failures=max_failures
    )
    options = _given(user_id=user_of(user_id), queue=queue)

    async def work() -> int:
        engine = check_shared(await engine_with_jobs(target))
        importer = _importer(engine, name)
        async with engine:
            handle = await engine.dispatch(importer.options(**options), file, **call)
            if not wait:
                print_json({"id": handle.id, "created": handle.created}) if as_json else click.echo(handle.id)
                return 0
            click.echo(handle.id, err=as_json)
            await hint_at_workers(engine, handle.id)
            job = await until_final(engine, handle.id)
        if as_json:
            print_json(job)
        return report(job, target)

    return run(work)


def report(job: JobStatus, target: str | None) -> int:
    """Say on standard error how an import ended; the exit code: 0 for `completed` and `partial`."""
    counts = f"{job.succeeded:,} of {job.total:,} rows are in"
    if job.skipped:
        counts += f", {job.skipped:,} of them duplicates"
    note(f"{job.status}: {counts}")
    words = [target] if target else []
    if job.failed:
        note(f"{job.failed:,} rows failed: {called('failures', 'list', *words, job.id)}")
    if job.status in (Status.COMPLETED, Status.PARTIAL):
        return 0
    if job.error is not None:
        note(f"error: {job.error.message}")
    return 1


def _parts(arguments: Sequence[str]) -> tuple[str | None, str, Path]:
    context = click.get_current_context()
    match list(arguments):
        case [target, name, file]:
            chosen: str | None = target
        case [name, file]:
            chosen = None
        case _:
            raise click.UsageError(f"{_ARGUMENTS} is wanted, got {len(arguments)} arguments", context)
    if not Path(file).is_file():
        raise click.UsageError(f"there is no file {file!r}", context)
    return chosen, name, Path(file)


def _importer(engine: Engine, name: str) -> JobType[..., Any]:
    found = engine.registry.get(name)
    if found.kind == _KIND:
        return found
    importers = [known for known, job_type in engine.registry.types.items() if job_type.kind == _KIND]
    hint = did_you_mean(name, importers) or f"; importers are {', '.join(importers) or 'none'}"
    raise ConfigError(f"{name!r} is no importer but a {found.kind}{hint}")


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
