"""`init`: a small app that runs, with a test that passes."""

from importlib.resources import files
from pathlib import Path

import click

from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.running import called
from aiojobs_engine.core.errors import ConfigError

_FILES = ("app.py", "test_app.py", "aiojobs.toml", "people.csv", ".gitignore")


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init_command(directory: Path) -> None:
    """Write a small app into DIR (here without it): jobs, an importer, a test, a configuration.

    Nothing that is there is overwritten.
    """
    taken = [name for name in _FILES if (directory / name).exists()]
    if taken:
        raise ConfigError(f"{str(directory)!r} has {', '.join(taken)} already; name another directory")
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{str(directory)!r} is a file; name a directory")
    directory.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        text = files("aiojobs_engine.cli").joinpath("scaffold", f"{name}.txt").read_text(encoding="utf-8")
        (directory / name).write_text(text, encoding="utf-8")
        click.echo(str(directory / name))
    note("")
    if directory.resolve() != Path.cwd():
        note(f"cd {directory}")
    for words in (
        ("dispatch", "app.greet", '{"name": "Ada"}'),
        ("import", "people", "people.csv"),
        ("worker", "--burst"),
    ):
        note(called(*words))
    note(called("jobs", "list"))
