"""Commands that are imported when they are asked for, so that `--help` and `health` are quick."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import click

from aiojobs_engine.core.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is: `aiojobs_engine.cli.<module>` holds it as `<name>_command`."""

    module: str
    help: str


class NamingGroup(click.Group):
    """A group that answers a wrong command with the nearest right one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begins with."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            hint = did_you_mean(args[0], known) or f"; there are {', '.join(known)}"
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(NamingGroup):
    """A group whose commands are listed without being imported."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        """Offer `entries`, in their order."""
        super().__init__(*args, **kwargs)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in their order."""
        del ctx
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        del ctx
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"aiojobs_engine.cli.{entry.module}")
        return cast("click.Command", getattr(module, f"{cmd_name}_command"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])
