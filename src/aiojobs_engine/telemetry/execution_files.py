"""Execution records as NDJSON files: one series per process, rotated by size, pruned by count and age."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path

import msgspec
from anyio import to_thread

from aiojobs_engine.core.instant import moment
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.telemetry.execution_log import ExecutionRecord

_NAME = re.compile(
    r"executions-(?P<at>\d{8}T\d{6}\d{3})-(?P<host>[\w.]+)-(?P<pid>\d+)-(?P<number>\d+)\.ndjson"
)
_BREAKS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"), (b"\xc2\x85", rb"\u0085"))

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ExecutionRecord).decode


class ExecutionFiles:
    """Writes to a file of its own, so that any number of processes may share the directory."""

    def __init__(self, path: str, *, file_bytes: int, files: int, age: float, clock: Clock) -> None:
        """Write below `path`; touch nothing before the first record.

        Args:
            file_bytes: a file that has grown to this is followed by a new one.
            files: how many files of this machine stay, the newest.
            age: seconds that a file stays after its last record.
        """
        self._directory = Path(path)
        self._file_bytes = file_bytes
        self._files = files
        self._age = age
        self._clock = clock
        self._host = re.sub(r"[^\w.]", "_", socket.gethostname())[:40]
        self._number = 0
        self._path: Path | None = None
        self._is_torn = False

    async def __call__(self, records: Sequence[ExecutionRecord]) -> None:
        """Append records, each a line.

        Raises:
            OSError: the directory can't be written to, or is full.
        """
        await to_thread.run_sync(self.append, records)

    async def history(self, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
        """At most `limit` records that fit, the newest first; of all processes that share the directory."""
        return await to_thread.run_sync(self._history, wanted, limit)

    def append(self, records: Sequence[ExecutionRecord]) -> None:
        """The same, in this thread."""
        lines = b"".join(map(line_of, records))
        path = self._path
        if path is None or not path.exists() or path.stat().st_size >= self._file_bytes:
            path = self._opened()
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._is_torn, was_torn = True, self._is_torn
            with os.fdopen(handle, "ab", closefd=False) as file:
                file.write(b"\n" + lines if was_torn else lines)
            self._is_torn = False
        finally:
            os.close(handle)

    def _opened(self) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prune()
        self._number += 1
        at = moment(self._clock.now()).astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        name = f"executions-{at}-{self._host}-{os.getpid()}-{self._number:06}.ndjson"
        self._path = self._directory / name
        return self._path

    def _prune(self) -> None:
        """Remove files past their age, and the oldest of this machine that nobody writes to any more."""
        now = self._clock.now() / 1000
        newest = self._newest_first()
        last_of = {
            found["pid"]: path for path in reversed(newest) if (found := _parts(path))["host"] == self._host
        }
        kept = 1
        for path in newest:
            parts = _parts(path)
            is_open = (
                last_of.get(parts["pid"]) == path and _is_alive(int(parts["pid"])) and path != self._path
            )
            kept += parts["host"] == self._host
            is_surplus = parts["host"] == self._host and kept > self._files and not is_open
            with contextlib.suppress(FileNotFoundError):
                if is_surplus or now - path.stat().st_mtime > self._age:
                    path.unlink()

    def _newest_first(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        found = [path for path in self._directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: (_parts(path)["at"], path.name), reverse=True)

    def _history(self, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
        found: list[ExecutionRecord] = []
        for path in self._newest_first():
            with contextlib.suppress(FileNotFoundError):
                found += _matching(path, wanted, limit)
        return sorted(found, key=lambda record: record.ended_at, reverse=True)[:limit]


def line_of(record: ExecutionRecord) -> bytes:
    """One record as one line, whatever reads it: the line breaks of Unicode are escaped too."""
    line = _encode(record)
    for raw, escaped in _BREAKS:
        line = line.replace(raw, escaped)
    return line + b"\n"


def _matching(path: Path, wanted: Mapping[str, str], limit: int) -> list[ExecutionRecord]:
    found: list[ExecutionRecord] = []
    for record in _backwards(path):
        if all(getattr(record, name) == value for name, value in wanted.items()):
            found.append(record)
            if len(found) == limit:
                break
    return found


def _backwards(path: Path) -> Iterator[ExecutionRecord]:
    """The records of a file, the last first; a line that a full disk has torn is left out."""
    for line in reversed(path.read_bytes().split(b"\n")):
        if line:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                yield _decode(line)


def _parts(path: Path) -> dict[str, str]:
    found = _NAME.fullmatch(path.name)
    return found.groupdict() if found else {}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
