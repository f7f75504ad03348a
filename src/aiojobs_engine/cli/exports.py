"""`export`: rows of an exporter, into a file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from aiojobs_engine.bulk.exported import ExportedFile
from aiojobs_engine.bulk.exporter import ExportType
from aiojobs_engine.cli.dispatch import checked_arguments
from aiojobs_engine.cli.opening import check_shared, engine_with_jobs, json_option, run, user_of
from aiojobs_engine.cli.output import note, size_of
from aiojobs_engine.cli.running import show_stored, show_until_final
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.core.wording import counted
from aiojobs_engine.engine import Engine
from aiojobs_engine.target import is_target

_ARGUMENTS = "[TARGET] NAME FILE [JSON]"


@click.command("export")
@click.argument("arguments", nargs=-1, metavar=_ARGUMENTS)
@click.option("--user", "user_id", metavar="ID", help="Whose job it is.")
@click.option("--queue", "-q", help="Another queue than its own.")
@click.option("--wait", is_flag=True, help="Wait for the end, with live progress.")
@json_option
def export_command(
    arguments: tuple[str, ...], user_id: str | None, queue: str | None, *, wait: bool, as_json: bool
) -> int:
    """Export to FILE through the exporter NAME with the arguments JSON, an object; print the job's id.

    The end of FILE says the form: .csv, .tsv, .jsonl, .xlsx or .parquet, also with .gz or .zst behind.
    A worker writes it, so it is a path on a disk that workers share.
    """
    target, name, file, values = _parts(arguments)
    values["to"] = os.path.abspath(file)  # noqa: PTH100 - a person may lead upward
    options: dict[str, Any] = {"user_id": user_of(user_id), "queue": queue}
    given = {key: value for key, value in options.items() if value is not None}

    async def work() -> int:
        engine = check_shared(await engine_with_jobs(target))
        exporter = _exporter(engine, name).options(**given)
        async with engine:
            handle = await engine.dispatch(exporter.job_from_json(msgspec.json.encode(values)))
            if not wait:
                return show_stored(handle, as_json=as_json)
            job = await show_until_final(engine, handle, as_json=as_json)
        return _report(job)

    return run(work)


def _report(job: JobStatus) -> int:
    """Say on standard error how an export ended; the exit code."""
    if job.status is Status.COMPLETED:
        file = msgspec.convert(job.result, ExportedFile)
        where = file.path or f"the storage, as {file.id}"
        note(f"{counted(file.rows, 'row')}, {size_of(file.size)}, in {where}")
        return 0
    note(f"{job.status} after {counted(job.processed, 'row')}; there is no file")
    if job.error is not None:
        note(f"error: {job.error.message}")
    return 1


def _parts(arguments: Sequence[str]) -> tuple[str | None, str, Path, dict[str, Any]]:
    match list(arguments):
        case [target, name, file, text]:
            chosen: str | None = target
        case [name, file, text] if text.startswith("{") or text == "-" or not is_target(name):
            chosen = None
        case [target, name, file]:
            chosen, text = target, "{}"
        case [name, file]:
            chosen, text = None, "{}"
        case _:
            raise click.UsageError(
                f"{_ARGUMENTS} is wanted, got {len(arguments)} arguments", click.get_current_context()
            )
    return chosen, name, Path(file), msgspec.json.decode(checked_arguments(text), type=dict[str, Any])


def _exporter(engine: Engine, name: str) -> ExportType:
    found = engine.registry.get(name)
    if isinstance(found, ExportType):
        return found
    exporters = [
        known for known, job_type in engine.registry.types.items() if isinstance(job_type, ExportType)
    ]
    hint = did_you_mean(name, exporters) or f"; exporters are {', '.join(exporters) or 'none'}"
    raise ConfigError(f"{name!r} is no exporter but a {found.kind}{hint}")
