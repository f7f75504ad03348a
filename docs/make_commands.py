"""Write `reference/command-line.md` from the commands themselves: what `--help` says of each.

python -m docs.make_commands
"""

# ruff: noqa: INP001 - scripts beside the pages that they write

from collections.abc import Iterator

import click

from aiojobs_engine.cli.main import cli
from docs.pages import DOCS, write

PAGE = DOCS / "reference" / "command-line.md"
PROGRAM = "aiojobs-engine"

_WIDTH = 110


def parts() -> dict[str, str]:
    """The generated parts of the page."""
    top = _top()
    commands = "\n\n".join(f"### {name}\n\n{_fenced(text)}" for name, text in _helps(cli, top))
    return {"program": _fenced(cli.get_help(top)), "commands": commands}


def names() -> list[str]:
    """Every command, subcommands after their groups."""
    return [name for name, _ in _helps(cli, _top())]


def _top() -> click.Context:
    return click.Context(
        cli, info_name=PROGRAM, max_content_width=_WIDTH, terminal_width=_WIDTH, **cli.context_settings
    )


def _helps(group: click.Group, above: click.Context) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(
            command, above, info_name=name, max_content_width=_WIDTH, terminal_width=_WIDTH
        )
        yield context.command_path.removeprefix(f"{PROGRAM} "), command.get_help(context)
        if isinstance(command, click.Group):
            yield from _helps(command, context)


def _fenced(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


if __name__ == "__main__":
    write(PAGE, parts())
