"""Statuses and failed rows in tables of the application's own, for its joins, reports and screens."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from importlib.resources import files
from os import PathLike
from typing import Any, TypeVar

import anyio.to_thread
import msgspec

from aiojobs_engine.core.errors import ConfigError, JobNotFound, did_you_mean
from aiojobs_engine.core.events import TERMINAL_EVENTS, JobEvent, JobProgressed, JobStatusUpdated
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.status import JobFailure, JobStatus
from aiojobs_engine.engine import Engine
from aiojobs_engine.events.bus import Subscription

Row = dict[str, Any]
Write = Callable[[list[Row]], Awaitable[object]]
"""Stores rows, in place of those with the same key: an async function of the application's."""

RecordT = TypeVar("RecordT", JobStatus, JobFailure)
Columns = Mapping[str, str | Callable[[RecordT], Any]]

_PAGE = 500
_EVERY = 0.5
_MOST_KNOWN = 10_000
_UPSERT = files("aiojobs_engine").joinpath("mirror_upsert.sql").read_text(encoding="utf-8")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DEFAULT = (
    "id",
    "type",
    "kind",
    "status",
    "processed",
    "total",
    "succeeded",
    "failed",
    "user_id",
    "strategy",
)
_DEFAULT_FAILURE = ("id", "job_id", "row_number", "row_key", "field", "message", "attempts", "resolved")


class StatusMirror:
    """Writes what jobs do into tables of your own, by a mapping from their columns to the engine's fields.

    It runs in the processes that follow an engine, on the events that they write; `catch_up` brings in what
    happened while none did. Each row is the job as it stands when it is written, so repeating it is safe.
    """

    def __init__(
        self,
        statuses: Write,
        columns: "Columns[JobStatus] | type[object] | None" = None,
        *,
        failures: Write | None = None,
        failure_columns: "Columns[JobFailure] | type[object] | None" = None,
    ) -> None:
        """Write jobs by `statuses`, and failed rows by `failures`.

        Args:
            columns: names of your columns to fields of `JobStatus`, or functions of one; or a model, any
                class with annotations, whose fields of the same names are written. Without it they are the
                most used fields.
            failure_columns: the same of `JobFailure`.

        Raises:
            ConfigError: a field is none, or that of a model looks like a slip; the message names the nearest.
        """
        self._statuses = statuses
        self._failures = failures
        self._columns = _checked(columns, JobStatus, _DEFAULT)
        self._failure_columns = _checked(failure_columns, JobFailure, _DEFAULT_FAILURE)
        self._engine: Engine | None = None
        self._written_at: dict[str, float] = {}

    def follow(
        self, engine: Engine, *, type: str | None = None, kind: str | None = None, durable: str | None = None
    ) -> None:
        """Write jobs of this type or kind, all without one, whenever this process writes their events.

        Progress is written at most twice a second per job, and everything else at once.

        With `durable="name"` workers write what any process did, one worker at a time, from where the last
        one stopped. A write that raises is repeated, five times in all.

        Raises:
            ConfigError: another durable listener has the name.
        """
        self._engine = engine
        if durable is not None:
            checked_name(durable, "durable")
        call = self._heard
        engine.listen(Subscription(call=call, classes=(JobEvent,), type=type, kind=kind, durable=durable))

    async def catch_up(self, engine: Engine, *, type: str | None = None, kind: str | None = None) -> int:
        """Write all jobs of this type or kind that are stored, with their failed rows; how many."""
        count = 0
        page: list[JobStatus] = []
        async for job in engine.jobs.list(type=type, kind=kind, limit=_PAGE):
            if job.parent_id is None:
                page.append(job)
            if len(page) == _PAGE:
                await self._write(engine, page, has_ended=True)
                count, page = count + len(page), []
        await self._write(engine, page, has_ended=True)
        return count + len(page)

    async def _heard(self, event: JobEvent) -> None:
        engine = self._engine
        if engine is None or isinstance(event, JobStatusUpdated):
            return
        now = engine.clock.monotonic()
        if isinstance(event, JobProgressed) and now - self._written_at.get(event.job_id, -_EVERY) < _EVERY:
            return
        try:
            job = await engine.jobs.get(event.job_id)
        except JobNotFound:
            return
        if job.parent_id is not None:
            return
        has_ended = isinstance(event, TERMINAL_EVENTS)
        if has_ended:
            self._written_at.pop(event.job_id, None)
        else:
            if len(self._written_at) >= _MOST_KNOWN:  # those that ended in other processes, for the most part
                self._written_at.clear()
            self._written_at[event.job_id] = now
        await self._write(engine, [job], has_ended=has_ended)

    async def _write(self, engine: Engine, jobs: Sequence[JobStatus], *, has_ended: bool) -> None:
        if jobs:
            await self._statuses([_row(job, self._columns) for job in jobs])
        for job in jobs if has_ended else ():
            if self._failures is not None and job.kind == "import":
                await self._write_failures(engine, job.id, self._failures)

    async def _write_failures(self, engine: Engine, job_id: str, write: Write) -> None:
        page: list[Row] = []
        async for failure in engine.failures.list(job_id, limit=_PAGE):
            page.append(_row(failure, self._failure_columns))
            if len(page) == _PAGE:
                await write(page)
                page = []
        if page:
            await write(page)


def sqlite_table(path: str | PathLike[str], table: str, key: str | Sequence[str]) -> Write:
    """A `Write` into a table of an SQLite file, which has a unique index on the columns `key`.

    Instants are written as ISO 8601, structures as JSON.

    Raises:
        ConfigError: a name is none of a table or column.
    """
    keys = (key,) if isinstance(key, str) else tuple(key)
    for name in (table, *keys):
        _check_name(name)

    def store(rows: list[Row]) -> None:
        import sqlite3  # noqa: PLC0415 - programs on other stores do without

        statement = _upsert(table, keys, tuple(rows[0]))
        with closing(sqlite3.connect(path, timeout=30.0)) as connection, connection:
            connection.executemany(statement, [[_plain(value) for value in row.values()] for row in rows])

    async def write(rows: list[Row]) -> None:
        if rows:
            await anyio.to_thread.run_sync(store, rows)

    return write


def _upsert(table: str, keys: Sequence[str], columns: Sequence[str]) -> str:
    for name in columns:
        _check_name(name)
    others = [f'"{name}" = excluded."{name}"' for name in columns if name not in keys]
    return _UPSERT.format(
        table=f'"{table}"',
        columns=", ".join(f'"{name}"' for name in columns),
        marks=", ".join("?" * len(columns)),
        keys=", ".join(f'"{name}"' for name in keys),
        change=" ".join(["UPDATE", "SET", ", ".join(others)]) if others else "NOTHING",
    )


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"{name!r:.80} is no name of a table or column")


def _plain(value: object) -> object:
    match value:
        case bool():
            return int(value)
        case None | int() | float() | bytes():
            return value
        case str():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case _:
            return msgspec.json.encode(value).decode()


def _checked(
    columns: "Columns[RecordT] | type[object] | None", kind: type[RecordT], usual: Sequence[str]
) -> "Columns[RecordT]":
    if columns is None:
        return {name: name for name in usual}
    if isinstance(columns, type):
        return _of_model(columns, kind)
    fields = kind.__struct_fields__
    for column, field in columns.items():
        if isinstance(field, str) and field not in fields:
            raise ConfigError(
                f"column {column!r}: {kind.__name__} has no field {field!r}{did_you_mean(field, fields)}"
            )
    return columns


def _of_model(model: type[object], kind: type[RecordT]) -> "Columns[RecordT]":
    fields = kind.__struct_fields__
    own = [name for each in reversed(model.__mro__) for name in inspect.get_annotations(each)]
    public = [name for name in dict.fromkeys(own) if not name.startswith("_")]
    known = [name for name in public if name in fields]
    left = [field for field in fields if field not in known]
    for name in public:
        if name not in fields and (hint := did_you_mean(name, left)):
            raise ConfigError(
                f"{model.__name__}.{name}: {kind.__name__} has no such field{hint} "
                "Give a mapping where names differ"
            )
    if not known:
        raise ConfigError(
            f"{model.__name__} has no field of {kind.__name__}; give a mapping from its columns"
        )
    return {name: name for name in known}


def _row(record: RecordT, columns: "Columns[RecordT]") -> Row:
    return {
        column: getattr(record, field) if isinstance(field, str) else field(record)
        for column, field in columns.items()
    }
