"""`cron`: list entries, look ahead and back, fire one now, enable, disable, remove."""

from collections.abc import Sequence

import click

from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import Page, Table, page_options
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import note, print_json
from aiojobs_engine.desks.cron_views import CronRun, CronStatus

COLUMNS = ("name", "expression", "zone", "type", "state", "next", "last", "outcome", "job")
RUN_COLUMNS = ("at", "fired", "outcome", "job", "status", "missed since")


@click.group("cron", cls=NamingGroup)
def cron_command() -> None:
    """Cron entries: list, preview, history, run, enable, disable, remove."""


@cron_command.command("list")
@click.argument("target", required=False)
@json_option
@url_option
def list_command(target: str | None, url: str | None, *, as_json: bool) -> None:
    """List entries with their next and last fire, in UTC."""
    for entry in _ENTRIES.show(lambda engine: engine.cron.list(), target, url, as_json=as_json):
        if entry.problem and not as_json:
            note(f"{entry.name}: {entry.problem}")


@cron_command.command("preview")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME")
@click.option("-n", "number", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many.")
@json_option
@url_option
def preview_command(arguments: tuple[str, ...], url: str | None, *, number: int, as_json: bool) -> None:
    """Show the next fires of an entry, in its time zone."""
    target, (name,) = _one(arguments, url)

    async def work() -> None:
        async with opened(target, url) as engine:
            found = await engine.cron.preview(name, number)
        if as_json:
            print_json([at.isoformat() for at in found])
        else:
            click.echo("\n".join(at.isoformat(" ") for at in found))

    run(work)


@cron_command.command("history")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME")
@page_options
@json_option
@url_option
def history_command(arguments: tuple[str, ...], url: str | None, page: Page, *, as_json: bool) -> None:
    """List the fires of an entry, the newest first, and what became of them."""
    target, (name,) = _one(arguments, url)
    Table(columns=RUN_COLUMNS, row=run_row, empty="no fires yet").show_page(
        lambda engine, size, after: engine.cron.history(name, limit=size, cursor=after),
        target,
        url,
        page,
        as_json=as_json,
    )


@cron_command.command("run")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@json_option
@url_option
def run_command(arguments: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    """Dispatch the jobs of entries now, and print their ids."""
    target, names = parted(arguments, url, least=1, names="NAME")

    async def work() -> None:
        async with opened(target, url) as engine:
            ids = [(await engine.cron.run_now(name)).id for name in names]
        if as_json:
            print_json([{"name": name, "id": job_id} for name, job_id in zip(names, ids, strict=True)])
        else:
            click.echo("\n".join(ids))

    run(work)


@cron_command.command("enable")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@click.option("--all", "every", is_flag=True, help="All entries.")
@url_option
def enable_command(arguments: tuple[str, ...], url: str | None, *, every: bool) -> None:
    """Let entries fire again, from now on."""
    _switch(arguments, url, every=every, is_enabled=True)


@cron_command.command("disable")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@click.option("--all", "every", is_flag=True, help="All entries that there are.")
@url_option
def disable_command(arguments: tuple[str, ...], url: str | None, *, every: bool) -> None:
    """Let entries fire no more; what runs goes on."""
    _switch(arguments, url, every=every, is_enabled=False)


@cron_command.command("remove")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME...")
@url_option
def remove_command(arguments: tuple[str, ...], url: str | None) -> None:
    """Forget entries that were added at run time, or whose code is gone."""
    target, names = parted(arguments, url, least=1, names="NAME")

    async def work() -> None:
        async with opened(target, url) as engine:
            for name in names:
                await engine.cron.remove(name)
                note(f"cron entry {name} is removed")

    run(work)


def row(entry: CronStatus) -> tuple[object, ...]:
    """The cells of one entry under `COLUMNS`."""
    state = "disabled" if not entry.enabled else "broken" if entry.problem else "late" if entry.late else "on"
    last = entry.last
    return (
        entry.name,
        entry.expression,
        entry.tz,
        entry.type,
        state,
        entry.next_at,
        None if last is None else last.at,
        None if last is None else outcome(last),
        None if last is None else last.status,
    )


def run_row(fire: CronRun) -> tuple[object, ...]:
    """The cells of one fire under `RUN_COLUMNS`."""
    return fire.at, fire.fired_at, outcome(fire), fire.job_id, fire.status, fire.missed_from


def outcome(fire: CronRun) -> str:
    """What became of a fire, in a cell."""
    return fire.outcome if fire.waits_for is None else f"{fire.outcome}: waits for {fire.waits_for}"


def _switch(arguments: tuple[str, ...], url: str | None, *, every: bool, is_enabled: bool) -> None:
    target, names = parted(arguments, url, least=0 if every else 1, names="NAME")
    if every and names:
        raise click.UsageError("give names or --all, not both", click.get_current_context())

    async def work() -> None:
        async with opened(target, url) as engine:
            switch = engine.cron.enable if is_enabled else engine.cron.disable
            for name in names:
                await switch(name)
                note(f"cron entry {name} is {_word(is_enabled=is_enabled)}")
            if every:
                note(f"{await switch():,} cron entries are {_word(is_enabled=is_enabled)}")

    run(work)


def _word(*, is_enabled: bool) -> str:
    return "enabled" if is_enabled else "disabled"


def _one(arguments: tuple[str, ...], url: str | None) -> tuple[str | None, Sequence[str]]:
    target, names = parted(arguments, url, least=1, names="NAME")
    if len(names) > 1:
        raise click.UsageError(f"one NAME is wanted, got {' '.join(names)}", click.get_current_context())
    return target, names


_ENTRIES = Table(columns=COLUMNS, row=row, empty="no cron entries")
