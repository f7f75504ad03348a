"""Log lines: a record is one line, whatever it holds."""

import logging
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SHOWN = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BREAKS = re.compile(r"[\x7f-\x9f\u2028\u2029]")


class TextFormatter(logging.Formatter):
    """Time, level, logger and message, with the job and the trace behind it; tracebacks follow below."""

    def __init__(self) -> None:
        """Have a format of its own."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The first line, control characters escaped."""
        line = _CONTROL.sub(_escaped, super().formatMessage(record))
        job_id = getattr(record, "job_id", None)
        told = [f"job {job_id}"] if job_id is not None and str(job_id) not in line else []
        trace_id = getattr(record, "trace_id", None)
        told += [f"trace {trace_id}"] if trace_id is not None else []
        return f"{line} [{', '.join(told)}]" if told else line


class JsonFormatter(logging.Formatter):
    """A JSON object per line: time, level, logger, message, the record's extra fields, exception, stack."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _STANDARD | told.keys()}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            told["exception"] = record.exc_text
        if record.stack_info:
            told["stack"] = record.stack_info
        return _BREAKS.sub(_escaped_in_json, _encoded(told))


def _encoded(told: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(told, enc_hook=repr).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return msgspec.json.encode({name: _plain(value) for name, value in told.items()}).decode()


def _plain(value: object) -> str:
    """Text without lone surrogates, which UTF-8 hasn't."""
    text = value if isinstance(value, str) else repr(value)[:_SHOWN]
    return text.encode("utf-8", "backslashreplace").decode()


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _escaped_in_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
