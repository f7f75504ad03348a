"""`types`, `workers`, `health`."""

import click

from aiojobs_engine.cli.listings import Table
from aiojobs_engine.cli.opening import engine_for, json_option, run, url_option
from aiojobs_engine.cli.output import duration, note, print_facts, print_json, print_schemas
from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.core.instant import moment
from aiojobs_engine.desks.health import Health
from aiojobs_engine.dispatching.names import argument_names
from aiojobs_engine.ports.control import TypeRecord, WorkerRecord

_TYPE_COLUMNS = ("type", "kind", "queue", "arguments")
_WORKER_COLUMNS = ("worker", "host", "pid", "queues", "running", "slots", "started", "last beat", "version")


@click.command("types")
@click.argument("target", required=False)
@json_option
@url_option
def types_command(target: str | None, url: str | None, *, as_json: bool) -> None:
    """List job types: those that workers published, and those of TARGET."""
    _TYPES.show(lambda engine: engine.types.list(), target, url, as_json=as_json)


@click.command("workers")
@click.argument("target", required=False)
@json_option
@url_option
def workers_command(target: str | None, url: str | None, *, as_json: bool) -> None:
    """List workers as they announce themselves."""
    _WORKERS.show(lambda engine: engine.workers.list(), target, url, as_json=as_json)


@click.command("health")
@click.argument("target", required=False)
@json_option
@url_option
def health_command(target: str | None, url: str | None, *, as_json: bool) -> int:
    """Does the store answer, and do jobs get done? Exits 1 when not."""

    async def work() -> Health:
        engine = await engine_for(target, url)
        try:
            async with engine:
                return await engine.health()
        except BackendError as error:
            return Health(ok=False, problems=[f"the store can't be opened: {error}"], backend=False)

    health = run(work)
    if as_json:
        print_json(health)
    else:
        _print_health(health)
    return 0 if health.ok else 1


def worker_row(worker: WorkerRecord) -> tuple[object, ...]:
    """The cells of one worker."""
    return (
        worker.id,
        worker.host,
        str(worker.pid),
        worker.queues,
        worker.running,
        worker.slots,
        moment(worker.started_at),
        moment(worker.beat_at),
        worker.version or None,
    )


def _type_row(record: TypeRecord) -> tuple[object, ...]:
    names, required = argument_names(record.schema)
    arguments = (
        None if names is None else ", ".join(name if name in required else f"{name}?" for name in names)
    )
    return (record.name, record.kind, record.queue, arguments or None)


def _print_health(health: Health) -> None:
    print_facts(
        [
            ("health", "ok" if health.ok else "not ok"),
            ("workers", health.workers),
            ("running", f"{health.running:,} of {health.slots:,} slots"),
            ("pending", health.pending),
            ("dead", health.dead),
            (
                "oldest",
                None if health.oldest_pending_seconds is None else duration(health.oldest_pending_seconds),
            ),
            ("paused", tuple(health.paused)),
        ]
    )
    for problem in health.problems:
        note(f"problem: {problem}")


_TYPES = Table(
    columns=_TYPE_COLUMNS,
    row=_type_row,
    empty="no job types",
    to_json=print_schemas,
)
_WORKERS = Table(columns=_WORKER_COLUMNS, row=worker_row, empty="no workers")
