"""`doctor`."""

import click

from aiojobs_engine.cli.opening import engine_for, json_option, run, url_option
from aiojobs_engine.cli.output import note, print_json, shown
from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.desks.diagnosis import Diagnosis
from aiojobs_engine.ports.checkup import Finding


@click.command("doctor")
@click.argument("target", required=False)
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@json_option
@url_option
def doctor_command(target: str | None, url: str | None, *, strict: bool, as_json: bool) -> int:
    """Look through the whole store, and at what works on it. It only reads, and keeps nobody waiting.

    Exits 1 when something is wrong; warnings don't count without --strict.
    """

    async def work() -> Diagnosis:
        engine = await engine_for(target, url)
        try:
            async with engine:
                return await engine.diagnose()
        except BackendError as error:
            return Diagnosis(ok=False, jobs=0, findings=[_closed(error, engine.settings.url)])

    diagnosis = run(work)
    if as_json:
        print_json(diagnosis)
    else:
        _print(diagnosis)
    is_warned = strict and any(finding.severity == "warning" for finding in diagnosis.findings)
    return 0 if diagnosis.ok and not is_warned else 1


def _closed(error: BackendError, url: str) -> Finding:
    return Finding(
        severity="error",
        what=f"the store can't be read: {error}",
        where=url,
        advice="see whether the URL is right and the server or disk is up",
    )


def _print(diagnosis: Diagnosis) -> None:
    for finding in diagnosis.findings:
        click.echo(shown(f"{finding.severity}: {finding.what}"))
        click.echo(shown(f"  where: {finding.where}"))
        click.echo(shown(f"  to do: {finding.advice}"))
    if not diagnosis.findings:
        note(f"nothing is wrong; looked at {diagnosis.jobs:,} jobs")
        return
    counts = [
        f"{number} {severity}{'s' if number > 1 else ''}"
        for severity in ("error", "warning", "note")
        if (number := sum(finding.severity == severity for finding in diagnosis.findings))
    ]
    note(f"{', '.join(counts)}; looked at {diagnosis.jobs:,} jobs")
