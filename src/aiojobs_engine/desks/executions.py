"""`engine.executions`: what the execution log says of past runs."""

from collections.abc import Callable, Mapping

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.telemetry.execution_database import ExecutionDatabase
from aiojobs_engine.telemetry.execution_files import ExecutionFiles
from aiojobs_engine.telemetry.execution_log import ExecutionHandler, ExecutionRecord

BUILT_IN = ("file", "database")
MOST = 10_000


class ExecutionsDesk:
    """Past runs, as the handlers `file` and `database` of the execution log keep them."""

    def __init__(
        self,
        settings: Settings,
        door: OpenSession,
        clock: Callable[[], Clock],
        own: Mapping[str, ExecutionHandler],
    ) -> None:
        """Know the handlers that `settings` name; `own` are those of the user, by name."""
        self._settings = settings
        self._door = door
        self._clock = clock
        self._own = own

    async def history(
        self, *, job_id: str | None = None, type: str | None = None, cron: str | None = None, limit: int = 20
    ) -> list[ExecutionRecord]:
        """At most `limit` runs of a job, a job type or a cron entry, of all without one, the newest first.

        The first of the handlers `file` and `database` that the settings name is read. Without handlers the
        store is, for a process that only looks needs no settings.

        Raises:
            ConfigError: there is no execution log, its handlers are all of the user's own, or `limit` is out
                of range: it is at least 1 and at most 10,000.
            BackendClosed: it is in the store, and the engine is not open.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"limit is a whole number from 1 to {MOST:,}, got {limit!r:.80}")
        given = {"job_id": job_id, "type": type, "name": cron, "source": "cron" if cron else None}
        wanted = {name: value for name, value in given.items() if value is not None}
        names = self._settings.execution_log.handlers
        for name in names:
            if name in BUILT_IN:
                return await self._readable(name).history(wanted, limit)
        stored = [] if names else await self._readable("database").history(wanted, limit)
        if stored or (not names and await self._readable("database").history({}, 1)):
            return stored
        raise ConfigError("there is no execution log to read; set execution_log.handlers = ['database']")

    def handlers(self) -> dict[str, ExecutionHandler]:
        """The handlers that the settings name, in order.

        Raises:
            ConfigError: nobody has registered one of them.
        """
        found: dict[str, ExecutionHandler] = {}
        for name in self._settings.execution_log.handlers:
            own = self._own.get(name)
            if own is None and name not in BUILT_IN:
                known = ", ".join([*BUILT_IN, *self._own])
                raise ConfigError(
                    f"execution_log.handlers: nobody has registered {name!r}; there are {known}"
                )
            found[name] = self._readable(name) if own is None else own
        return found

    def _readable(self, name: str) -> "_BuiltIn":
        log = self._settings.execution_log
        if name == "file":
            return ExecutionFiles(
                log.path, file_bytes=log.file_bytes, files=log.files, age=log.age, clock=self._clock()
            )
        return ExecutionDatabase(self._door().store, keep=log.keep, age=log.age)


_BuiltIn = ExecutionFiles | ExecutionDatabase
