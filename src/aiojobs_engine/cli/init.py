"""`init`: a small app that runs, with a test that passes."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import click

from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.running import called
from aiojobs_engine.core.errors import ConfigError

_FILES = ("app.py", "test_app.py", "aiojobs.toml", "people.csv", ".gitignore")
_KINDS = {"import": "imports", "export": "exports", "sync": "syncs", "report": "reports"}


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(list(_KINDS)),
    help="Write only the parts of one kind, for an app that is there.",
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
    module = _KINDS[kind]
    _write(directory, {f"{name}.py": f"kinds/{name}.py" for name in (module, f"test_{module}")})
    note("")
    note("add to your app:")
    note(f"import {module}")
    note(f"engine.include({module}.registry)")


def _write(directory: Path, sources: Mapping[str, str]) -> None:
    """Write files from the scaffold.

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
        (directory / name).write_text(text, encoding="utf-8")
        click.echo(str(directory / name))
