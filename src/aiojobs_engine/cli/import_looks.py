"""What `import` shows without importing: a preview, a template, the problems of a dry run."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
import msgspec

from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.bulk.plan import decode_plan
from aiojobs_engine.bulk.sources.opening import Found
from aiojobs_engine.bulk.template import TemplateFormat
from aiojobs_engine.cli.opening import engine_with_jobs
from aiojobs_engine.cli.output import note, print_facts, print_json, print_table
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.engine import Engine

_PROBLEMS = 50
_COLUMNS = ("row", "key", "field", "reason")
_SHOWN = "-"


def found_importer(engine: Engine, name: str) -> ImportType[Any]:
    """The importer of a name.

    Raises:
        UnknownJobType: nothing has that name.
        ConfigError: it is no importer.
    """
    found = engine.registry.get(name)
    if isinstance(found, ImportType):
        return cast("ImportType[Any]", found)  # type: ignore[redundant-cast]
    importers = [known for known, job_type in engine.registry.types.items() if job_type.kind == "import"]
    hint = did_you_mean(name, importers) or f"; importers are {', '.join(importers) or 'none'}"
    raise ConfigError(f"{name!r} is no importer but a {found.kind}{hint}")


async def source_of(engine: Engine, job_id: str) -> Found | None:
    """What the source of a stored import was taken for; None when the job is gone or doesn't say."""
    (envelope,) = await engine.store.envelopes([job_id])
    return None if envelope is None else decode_plan(envelope.payload).found


async def write_template(target: str | None, name: str, file: str) -> int:
    """Write a file with the columns of the importer, or show them; the exit code."""
    importer = found_importer(await engine_with_jobs(target), name)
    if file == _SHOWN:
        sys.stdout.write(importer.template().decode())
        return 0
    made = importer.template(cast("TemplateFormat", Path(file).suffix.lower().lstrip(".") or "csv"))
    try:
        await anyio.to_thread.run_sync(_write_new, Path(file), made)
    except OSError as error:
        raise ConfigError(f"the template can't be written to {file!r}: {error.strerror}") from error
    note(f"an empty file is written to {file}")
    return 0


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)


async def show_preview(
    target: str | None, name: str, file: str, mapping: Mapping[str, str], *, as_json: bool
) -> int:
    """Show what a file is taken for; the exit code, 1 when a required field has no column."""
    engine = await engine_with_jobs(target)
    preview = await found_importer(engine, name).preview(file, mapping=mapping, limits=engine.settings.limits)
    if as_json:
        print_json({**msgspec.to_builtins(preview), "mapping": preview.mapping})
    else:
        found = preview.found
        print_facts(
            [
                ("format", found.format),
                ("compression", found.compression),
                ("encoding", found.encoding),
                ("delimiter", None if found.delimiter is None else repr(found.delimiter)),
                ("columns", f"{len(found.columns):,}"),
                ("missing", preview.missing),
                ("unused", preview.unused),
            ]
        )
        rows = [(guess.column, guess.field, f"{guess.confidence:.0%}") for guess in preview.guesses]
        rows += [(column, field, "mapped") for column, field in mapping.items()]
        print_table(("column", "field", "confidence"), rows, empty="no column is a field")
    return 1 if preview.missing else 0


async def show_problems(engine: Engine, job_id: str) -> None:
    """Show the first failed rows of an import."""
    page = await engine.failures.list(job_id, limit=_PROBLEMS)
    rows = [(failure.row_number, failure.row_key, failure.field, failure.message) for failure in page.items]
    print_table(_COLUMNS, rows, empty="no failed rows")
