"""The door: finds the command, runs it, and turns whatever happens into one line and an exit code."""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from aiojobs_engine.cli.lazy import Entry, LazyGroup

DONE = 0
FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

_TRACEBACK = "--traceback"

COMMANDS = {
    "demo": Entry("demo", "Import 28,298 airports, with live progress."),
    "init": Entry("init", "Write a small app that runs."),
    "worker": Entry("worker", "Run jobs."),
    "dispatch": Entry("dispatch", "Store a job."),
    "import": Entry("imports", "Import a file."),
    "export": Entry("exports", "Export to a file."),
    "jobs": Entry("jobs", "List jobs, look at one, intervene."),
    "failures": Entry("failures", "Failed rows of a bulk job: list, export, retry."),
    "queues": Entry("queues", "List queues, pause, resume, purge."),
    "dead": Entry("dead", "Jobs out of attempts: list, show, replay, purge."),
    "cron": Entry("cron", "Cron entries: list, preview, history, run, enable, disable, remove."),
    "executions": Entry("executions", "List past runs, as the execution log keeps them."),
    "limits": Entry("limits", "Limits of queues and types: list, set, reset."),
    "types": Entry("overview", "List job types."),
    "workers": Entry("overview", "List workers."),
    "health": Entry("overview", "Is the store up, and does somebody work? Exits 1 when not."),
    "doctor": Entry("doctor", "Is the store sound? Looks through all of it; exits 1 when not."),
    "top": Entry("top", "Watch queues, workers and bulk jobs live."),
    "events": Entry("events", "Show what happened, and follow what happens."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aiojobs-engine", message="%(version)s")
@click.option(_TRACEBACK, "shows_traceback", is_flag=True, help="Show where an error comes from.")
def cli(shows_traceback: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Background jobs, and bulk import with row-level failures, on asyncio.

    TARGET is module:attribute, an Engine or a function without arguments that makes one. Without it
    AIOJOBS_APP is read, then `app` of the configuration. Commands that need no job code take --url instead.
    Exit codes: 0 done, 1 the work failed, 2 wrong usage.
    """
    del shows_traceback


def main() -> NoReturn:
    """Run the command that the process was started with, and exit. Nothing is logged unless it is set up."""
    logging.getLogger("aiojobs_engine").addHandler(logging.NullHandler())
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and answer its exit code; what went wrong is one line on standard error."""
    try:
        code = cli.main(list(arguments), standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return _hung_up()
    except SystemExit as left:  # click's own answer to a reader that hung up is 1
        return _hung_up() if left.code == FAILED else DONE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    except Exception as error:  # noqa: BLE001 - the one place that shows errors to people
        if _TRACEBACK in arguments:
            traceback.print_exc()
        return _refused(error)
    return code if isinstance(code, int) else DONE


def _hung_up() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _refused(error: Exception) -> int:
    from aiojobs_engine.cli.faults import told
    from aiojobs_engine.core.masking import redacted

    message, code = told(error)
    click.echo(redacted(f"error: {message}"), err=True)
    return code
