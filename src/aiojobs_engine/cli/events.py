"""`events`: what happened, and with --follow what happens."""

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import click

from aiojobs_engine.cli.opening import json_option, opened, run, url_option
from aiojobs_engine.cli.output import json_line, note, print_json, shown
from aiojobs_engine.core.events import JobEvent, StoredEvent
from aiojobs_engine.core.instant import moment
from aiojobs_engine.engine import Engine
from aiojobs_engine.events.stream import BATCH, matcher


@click.command("events")
@click.argument("target", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come; Ctrl-C ends it.")
@click.option("--after", metavar="CURSOR", help="Only events after this one.")
@click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=50, show_default=True, help="So many past ones."
)
@click.option("--user", "user_id", metavar="ID", help="Only events of this user's jobs.")
@click.option("--type", "type", metavar="NAME", help="Only events of jobs of this type.")
@click.option("--job", "job_id", metavar="ID", help="Only events of this job.")
@click.option("--kind", help="Only events of jobs of this kind, like import.")
@json_option
@url_option
def events_command(
    target: str | None,
    url: str | None,
    after: str | None,
    limit: int,
    *,
    follow: bool,
    as_json: bool,
    **which: str | None,
) -> None:
    """Show the last events that are kept; with --follow those that come, too.

    --json prints an array, with --follow an object a line.
    """

    async def work() -> None:
        async with opened(target, url) as engine:
            past, cursor = await _past(engine, after, limit, matcher(**which))
            if as_json and not follow:
                print_json([_plain(event) for event in past])
                return
            for event in past:
                _print(event, as_json=as_json)
            if follow:
                async for event in engine.events(after=cursor, **which):
                    _print(event, as_json=as_json)
            elif not past:
                note("no events")

    try:
        run(work)
    except KeyboardInterrupt:
        return


async def _past(
    engine: Engine, after: str | None, limit: int, matches: Callable[[StoredEvent], bool]
) -> tuple[list[StoredEvent], str]:
    """The last `limit` events that match, oldest first, and where to go on."""
    if not limit and after is None:
        return [], await engine.store.tail()
    kept: deque[StoredEvent] = deque(maxlen=limit)
    while True:
        events, after = await engine.store.read(after, BATCH)
        kept.extend(event for event in events if matches(event))
        if not events:
            return list(kept), after


def _plain(event: JobEvent) -> dict[str, Any]:
    names = event.__struct_fields__
    return (
        {"event": type(event).__name__}
        | {name: getattr(event, name) for name in names}
        | {"cursor": event.cursor}
    )


def _print(event: JobEvent, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(_plain(event)))
    else:
        own = [getattr(event, name, None) for name in ("message", "error", "reason")]
        counts = f"{event.processed:,}/{event.total:,}" if event.total else None
        words = [
            f"{moment(event.at):%Y-%m-%d %H:%M:%S}Z",
            type(event).__name__.ljust(15),
            event.job_id,
            event.type,
        ]
        words += [str(event.status), *(shown(word) for word in (counts, *own) if word)]
        click.echo("  ".join(words))
    sys.stdout.flush()
