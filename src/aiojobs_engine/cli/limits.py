"""`limits`: list, set, reset."""

from typing import get_args

import click

from aiojobs_engine.cli.lazy import NamingGroup
from aiojobs_engine.cli.listings import Table
from aiojobs_engine.cli.opening import json_option, opened, parted, run, url_option
from aiojobs_engine.cli.output import note
from aiojobs_engine.core.gates import Overflow
from aiojobs_engine.desks.limits import LimitStatus

_COLUMNS = ("queue", "type", "for", "at once", "rate", "pending", "running", "room", "from")

_type_option = click.option("--type", "type_", metavar="NAME", help="Of this type in the queue.")
_key_option = click.option("--by-key", is_flag=True, help="Of each key of the type by itself.")


@click.group("limits", cls=NamingGroup)
def limits_command() -> None:
    """Limits of queues and types: list, set, reset."""


@limits_command.command("list")
@click.argument("target", required=False)
@json_option
@url_option
def list_command(target: str | None, url: str | None, *, as_json: bool) -> None:
    """List limits, and how much room they leave."""
    _LIMITS.show(lambda engine: engine.limits.list(), target, url, as_json=as_json)


@limits_command.command("set")
@click.argument("arguments", nargs=-1, metavar="[TARGET] QUEUE")
@_type_option
@_key_option
@click.option("--concurrency", type=click.IntRange(0), metavar="N", help="At most so many at once.")
@click.option("--rate", metavar="RATE", help="At most so many in a time, like 100/minute.")
@click.option("--max-pending", type=click.IntRange(1), metavar="N", help="At most so many pending jobs.")
@click.option(
    "--overflow", type=click.Choice(get_args(Overflow)), default="refuse", help="What becomes of more."
)
@url_option
def set_command(
    arguments: tuple[str, ...],
    type_: str | None,
    concurrency: int | None,
    rate: str | None,
    max_pending: int | None,
    overflow: Overflow,
    url: str | None,
    *,
    by_key: bool,
) -> None:
    """Limit a queue, a type in it or each of its keys, over what the code says."""
    target, (queue, *_) = parted(arguments, url, least=1, names="QUEUE")

    async def work() -> None:
        async with opened(target, url) as engine:
            await engine.limits.set(
                queue,
                type=type_,
                by_key=by_key,
                concurrency=concurrency,
                rate_limit=rate,
                max_pending=max_pending,
                overflow=overflow,
            )
            note(f"{_named(queue, type_, by_key=by_key)} is limited from the next claim on")

    run(work)


@limits_command.command("reset")
@click.argument("arguments", nargs=-1, metavar="[TARGET] QUEUE")
@_type_option
@_key_option
@url_option
def reset_command(arguments: tuple[str, ...], type_: str | None, url: str | None, *, by_key: bool) -> None:
    """Take back what was set; what the code says holds again."""
    target, (queue, *_) = parted(arguments, url, least=1, names="QUEUE")

    async def work() -> None:
        async with opened(target, url) as engine:
            await engine.limits.reset(queue, type=type_, by_key=by_key)
            note(f"{_named(queue, type_, by_key=by_key)} is limited as the code says")

    run(work)


def _named(queue: str, type_: str | None, *, by_key: bool) -> str:
    if type_ is None:
        return f"queue {queue}"
    return f"{'each key of ' if by_key else ''}{type_} in queue {queue}"


def _row(limit: LimitStatus) -> tuple[object, ...]:
    whom = "queue" if limit.type is None else "each key" if limit.by_key else "type"
    origin = limit.origin if limit.in_force else f"{limit.origin}, overruled"
    if limit.closed_until is not None:
        origin = f"{origin}, closed until {limit.closed_until:%Y-%m-%d %H:%M:%SZ}"
    return (
        limit.queue,
        limit.type or "",
        whom,
        "" if limit.concurrency is None else limit.concurrency,
        limit.rate or "",
        "" if limit.max_pending is None else limit.max_pending,
        limit.running,
        "" if limit.room is None else limit.room,
        origin,
    )


_LIMITS = Table(columns=_COLUMNS, row=_row, empty="no limits")
