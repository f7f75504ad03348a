"""`executions`: what the execution log says of past runs."""

import click

from aiojobs_engine.cli.opening import engine_for, json_option, run, url_option
from aiojobs_engine.cli.output import duration, print_json, print_table
from aiojobs_engine.desks.executions import MOST
from aiojobs_engine.telemetry.execution_log import ExecutionRecord

_COLUMNS = ("ended", "name", "status", "attempt", "took", "queue", "job", "said")
_SAID = 60


@click.command("executions")
@click.argument("target", required=False)
@click.option("--job", "job_id", metavar="ID", help="Only runs of this job.")
@click.option("--type", "type_", metavar="NAME", help="Only runs of this job type.")
@click.option("--cron", metavar="NAME", help="Only runs of this cron entry.")
@click.option(
    "--limit", "-n", type=click.IntRange(1, MOST), default=20, show_default=True, help="At most so many."
)
@json_option
@url_option
def executions_command(
    target: str | None,
    url: str | None,
    job_id: str | None,
    type_: str | None,
    cron: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List past runs, the newest first, as the execution log keeps them."""

    async def work() -> list[ExecutionRecord]:
        async with await engine_for(target, url) as engine:
            return await engine.executions.history(job_id=job_id, type=type_, cron=cron, limit=limit)

    records = run(work)
    if as_json:
        print_json(records)
    else:
        print_table(_COLUMNS, [_row(record) for record in records], empty="no runs")


def _row(record: ExecutionRecord) -> tuple[object, ...]:
    error = record.error
    said = record.output if error is None else f"{error.type}: {error.message}"
    return (
        record.ended_at,
        record.name,
        record.status,
        record.attempt,
        duration(record.duration),
        record.queue,
        record.job_id,
        said and said.split("\n", 1)[0][:_SAID],
    )
