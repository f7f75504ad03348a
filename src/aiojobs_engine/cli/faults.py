"""What went wrong, as one line and an exit code."""

import re

import click

from aiojobs_engine.core.errors import ConfigError, EngineError, PayloadError, UnknownJobType

FAILED = 1
WRONG_USAGE = 2


class WorkFailed(EngineError):
    """The command did what it was told to, and the answer is no; the message says what is."""


def told(error: BaseException) -> tuple[str, int]:
    """One line that says what happened and what to do, and the exit code."""
    match error:
        case click.NoSuchOption(option_name="--url", ctx=click.Context() as ctx) if (
            "TARGET" in ctx.get_usage()
        ):
            needed = f"{ctx.info_name} needs the code at TARGET, so it takes no --url"
            why = "where the jobs lie is what the engine there says, or AIOJOBS_URL"
            return f"{needed}; {why}{_where_to_read(error)}", WRONG_USAGE
        case click.UsageError():
            return _line(error.format_message()) + _where_to_read(error), WRONG_USAGE
        case click.ClickException():
            return _line(error.format_message()), WRONG_USAGE
        case ConfigError() | UnknownJobType() | PayloadError():
            return _line(str(error)), WRONG_USAGE
        case EngineError() | TimeoutError():
            return _line(str(error) or type(error).__name__), FAILED
        case OSError() if error.strerror:
            place = f": {error.filename!r}" if error.filename else ""
            return _line(f"{error.strerror}{place}"), FAILED
        case _:
            kind = type(error).__name__
            return _line(f"{kind}: {error} (--traceback before the command shows where)"), FAILED


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".")


def _where_to_read(error: click.UsageError) -> str:
    return f" ({error.ctx.command_path} --help tells more)" if error.ctx is not None else ""
