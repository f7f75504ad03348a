"""The SQLite store: whether the file is whole, what it holds agrees, and its place will do."""

import shutil
import sqlite3
from collections.abc import Iterator
from types import MappingProxyType

import msgspec

from aiojobs_engine.backends.sqlite.alarms import LOG_BYTES, loses_commits
from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.connect import Durability, is_on_network
from aiojobs_engine.ports.checkup import Finding, Severity

OVERDUE_SECONDS = 60.0
_FREE_BYTES = 256 * 1024 * 1024
_MIB = 1024 * 1024
_DELETE = "remove them while no other program uses the file: DELETE FROM {table} ..."
_ANEW = "cancel them, then retry those that shall run: jobs cancel ID, jobs retry ID"

# What doesn't belong together, by its name in `orphans.sql`: table, sentence, advice.
_ORPHANS = MappingProxyType(
    {
        "bodiless": ("jobs", "jobs have lost their envelope and can't run", "delete them: jobs delete ID"),
        "parentless": ("jobs", "chunks or members have lost the job that they belong to", "restore a backup"),
        "miscounted": (
            "jobs",
            "waiting jobs count their chunks or members wrongly, and may never end",
            _ANEW,
        ),
        "needy": ("jobs", "waiting jobs count what they wait for wrongly, and may never start", _ANEW),
        "stuck": ("jobs", "waiting jobs wait for nothing any more", _ANEW),
        "counters": ("jobs", "jobs have counters that can't be", _ANEW),
        "bodies": ("bodies", "envelopes belong to no job", _DELETE),
        "tags": ("tags", "tags belong to no job", _DELETE),
        "failures": ("failures", "failed rows belong to no job", _DELETE),
        "needs": ("needs", "needs name jobs that are not there", _DELETE),
    }
)

_texts = msgspec.json.Decoder(list[str]).decode
_orphans = msgspec.json.Decoder(list[tuple[str, int, str | int]]).decode
_dangling = msgspec.json.Decoder(list[tuple[str, int, str]]).decode
_overdue = msgspec.json.Decoder(tuple[int, int]).decode


class SqliteExaminer(Part):
    """`Examinable` of the SQLite store; it reads through the connection that can't write."""

    _durability: Durability

    async def examine(self) -> list[Finding]:
        """What is wrong with the file, its rows and its place."""
        reader = self._reading()
        boot, since = self._clock.boot()
        damage = _texts(await reader.value("integrity"))
        dangling = _dangling(await reader.value("foreign_keys"))
        orphans = _orphans(await reader.value("orphans"))
        leases, due = _overdue(
            await reader.value(
                "overdue",
                boot=boot,
                elapsed=since - round(OVERDUE_SECONDS * 1000),
                now=self._clock.now() - round(OVERDUE_SECONDS * 1000),
            )
        )
        return [
            *(self._damaged(text) for text in damage if text != "ok"),
            *(
                self._finding(
                    "error",
                    f"{number:,} rows point at rows of {target!r} that are not there",
                    "restore a backup",
                    table,
                )
                for table, number, target in dangling
            ),
            *(self._orphan(*orphan) for orphan in orphans),
            *self._late(leases, due),
            *self._place(),
        ]

    def _damaged(self, text: str) -> Finding:
        return self._finding(
            "error",
            f"the file is damaged: {text}",
            "stop all workers and restore a backup, or save what can be read with `sqlite3 FILE .recover`",
        )

    def _orphan(self, name: str, number: int, example: str | int) -> Finding:
        table, what, advice = _ORPHANS[name]
        return self._finding(
            "error", f"{what}: {number:,} ({example})", advice.replace("{table}", table), table
        )

    def _late(self, leases: int, due: int) -> Iterator[Finding]:
        if leases:
            yield self._finding(
                "warning",
                f"{leases:,} leases ended over a minute ago and nobody took the jobs over",
                "start a worker; any worker does",
            )
        if due:
            yield self._finding(
                "warning",
                f"{due:,} jobs have been due for over a minute and nobody made them pending",
                "start a worker; any worker does",
            )

    def _place(self) -> Iterator[Finding]:
        if loses_commits(sqlite3.sqlite_version_info):
            yield self._finding(
                "warning",
                f"SQLite {sqlite3.sqlite_version} can lose commits when several processes write at once "
                "(sqlite.org/wal.html#walresetbug)",
                "use 3.51.3, 3.50.7 or 3.44.6, or keep to one process",
            )
        if self._durability != "full":
            yield self._finding(
                "note",
                "durability is `normal`, so a power cut may take the newest commits along",
                "set [sqlite] durability to full where that matters",
            )
        if (kind := is_on_network(self._path.parent)) is not None:
            yield self._finding(
                "warning",
                f"the file lies on a network file system ({kind}), where SQLite's locks don't hold",
                "move it to a disk of this machine, or use Redis",
            )
        yield from self._sizes()

    def _sizes(self) -> Iterator[Finding]:
        log = self._path.with_name(f"{self._path.name}-wal")
        length = log.stat().st_size if log.exists() else 0
        if length > LOG_BYTES:
            yield self._finding(
                "warning",
                f"the log has grown to {length // _MIB:,} MiB: some program reads without a pause",
                "end that program",
                log.name,
            )
        size, free = self._path.stat().st_size, shutil.disk_usage(self._path.parent).free
        if free < _FREE_BYTES:
            yield self._finding("error", f"{free // _MIB:,} MiB are free on the disk", "free some space")
        elif free < size:
            yield self._finding(
                "warning",
                f"only {free // _MIB:,} MiB are free on the disk and the file takes {size // _MIB:,}, "
                "so that no backup fits beside it",
                "free some space, or prune more",
            )

    def _finding(self, severity: Severity, what: str, advice: str, place: str = "") -> Finding:
        where = f"{self._path} {place}".rstrip()
        return Finding(severity=severity, what=what, where=where, advice=advice)
