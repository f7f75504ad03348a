"""`init`: a small app that runs, with a test that passes."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.running import called
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.limits import checked_name

_FILES = ("app.py", "test_app.py", "aiojobs.toml", "people.csv", ".gitignore")
_KINDS = {"import": "imports", "export": "exports", "sync": "syncs", "report": "reports"}


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    metavar="KIND",
    help="Write only the parts of one kind for an app that is there: import, export, sync, report, your own.",
)
def init_command(directory: Path, kind: str | None) -> None:
    """Write a small app into DIR (here without it): jobs, an importer, an exporter, tests, a configuration.

    With --kind only a module of such jobs and its tests. Nothing that is there is overwritten.
    """
    if kind is None:
        _write(directory, {name: name for name in _FILES})
        note("")
        if directory.resolve() != Path.cwd():
            note(f"cd {directory}")
        for words in (
            ("dispatch", "app.greet", '{"name": "Ada"}'),
            ("import", "people", "people.csv"),
            ("export", "people_export", "out.csv"),
            ("worker", "--burst"),
        ):
            note(called(*words))
        note(called("jobs", "list"))
        return
    module, parts = _parts(kind)
    sources = {f"{prefix}{module}.py": f"kinds/{prefix}{parts}.py" for prefix in ("", "test_")}
    _write(directory, sources, {"kind": kind, "module": module})
    note("")
    note("add to your app:")
    note(f"import {module}")
    note(f"engine.include({module}.registry)")


def _parts(kind: str) -> tuple[str, str]:
    """The module of a kind, and what of the scaffold it is made of.

    Raises:
        ConfigError: it can't be a kind, or is none and near to one that is there.
    """
    if kind in _KINDS:
        return _KINDS[kind], _KINDS[kind]
    checked_name(kind, "a kind")
    if hint := did_you_mean(kind, _KINDS):
        raise ConfigError(f"{kind!r} is near to another kind{hint}")
    module = "jobs" if kind == "job" else re.sub(r"\W", "_", kind) + "_jobs"
    if not module.isidentifier():
        raise ConfigError(f"a module can't be named {module!r}; begin the kind with a letter")
    return module, "own"


def _write(directory: Path, sources: Mapping[str, str], words: Mapping[str, str] | None = None) -> None:
    """Write files from the scaffold, with `words` in the places of their names.

    Raises:
        ConfigError: one of them is there already, or the directory is none.
    """
    taken = [name for name in sources if (directory / name).exists()]
    if taken:
        raise ConfigError(f"{str(directory)!r} has {', '.join(taken)} already; name another directory")
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{str(directory)!r} is a file; name a directory")
    directory.mkdir(parents=True, exist_ok=True)
    scaffold = files("aiojobs_engine.cli").joinpath("scaffold")
    for name, source in sources.items():
        text = scaffold.joinpath(*f"{source}.txt".split("/")).read_text(encoding="utf-8")
        (directory / name).write_text(Template(text).safe_substitute(words or {}), encoding="utf-8")
        click.echo(str(directory / name))
