"""`dispatch`: store a job."""

import sys
from typing import Any

import click
import msgspec

from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.cli.opening import (
    check_shared,
    engine_for,
    engine_with_jobs,
    json_option,
    parted,
    run,
    url_option,
    user_of,
)
from aiojobs_engine.cli.output import note, print_json
from aiojobs_engine.cli.running import called, hint_at_workers, show_stored
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.job import Job
from aiojobs_engine.dispatching.names import NamedType
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.settings import load_settings
from aiojobs_engine.target import is_target


@click.command("dispatch")
@click.argument("arguments", nargs=-1, metavar="[TARGET] NAME [JSON]")
@click.option("--delay", type=click.FloatRange(min=0), metavar="S", help="Seconds until it may start.")
@click.option("--queue", "-q", help="Another queue than its own.")
@click.option("--priority", type=int, help="Higher runs first; 0 without.")
@click.option("--user", "user_id", metavar="ID", help="Whose job it is.")
@click.option("--id", "id", metavar="ID", help="The job's id; the same id twice is one job.")
@click.option("--wait", is_flag=True, help="Wait for the end, and print the result as JSON.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Wait at most so long."
)
@json_option
@url_option
def dispatch_command(
    arguments: tuple[str, ...],
    url: str | None,
    *,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Store a job of the type NAME with the arguments JSON, an object ("-" reads it), and print its id.

    With --url the types are those that workers published.
    """
    target, name, payload = _parts(arguments, url)
    options["user_id"] = user_of(options["user_id"])
    given = {key: value for key, value in options.items() if value is not None}

    async def work() -> int:
        engine = await engine_with_jobs(target) if url is None else await engine_for(None, url)
        async with check_shared(engine):
            handle = await engine.dispatch(_job(engine, name, payload, given))
            if not wait:
                return show_stored(handle, as_json=as_json)
            note(f"job {handle.id}")
            await hint_at_workers(engine, handle.id)
            try:
                result = await handle.result(timeout=timeout)
            except TimeoutError:
                raise TimeoutError(f"job {handle.id} has not ended in {timeout:g} s; it goes on") from None
            print_json(await handle.status() if as_json else result)
            return 0

    return run(work)


def _parts(arguments: tuple[str, ...], url: str | None) -> tuple[str | None, str, bytes]:
    target, rest = parted(arguments, url, least=1, names="NAME")
    match rest:
        case [name] if target is None and url is None and is_target(name) and load_settings().app is None:
            raise click.UsageError("NAME is missing", click.get_current_context())
        case [name]:
            text = "{}"
        case [name, text]:
            pass
        case [chosen, name, text] if target is None and url is None:
            target = chosen
        case _:
            wanted = "[TARGET] NAME [JSON] is wanted"
            raise click.UsageError(f"too many arguments: {wanted}", click.get_current_context())
    return target, name, checked_arguments(text)


def checked_arguments(text: str) -> bytes:
    """The arguments of a job as they were typed, a JSON object; "-" reads them.

    Raises:
        UsageError: they are none.
    """
    text = sys.stdin.read() if text == "-" else text
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise click.UsageError(
            f"the arguments are a JSON object, like '{{\"account_id\": 42}}', got {text!r:.60}: {error}",
            click.get_current_context(),
        ) from error
    return text.encode("utf-8", "surrogateescape")


def _job(engine: Engine, name: str, payload: bytes, options: dict[str, Any]) -> Job[Any]:
    registered: JobType[..., Any] | NamedType = engine.registry.types.get(name) or engine.named(name)
    if isinstance(registered, ImportType):
        how = called("import", engine.target or "TARGET", name, "FILE")
        raise ConfigError(f"{name} is an importer, which takes a file: {how}")
    return registered.options(**options).job_from_json(payload)
