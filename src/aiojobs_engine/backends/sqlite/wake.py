"""How processes that share a file wake each other: a datagram socket for each that waits, beside the file.

A write that made jobs claimable, or stored events, sends one byte to whoever listens for that. Where sockets
can't be had nothing is lost but time: everybody who waits looks for himself every second.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Literal, Self

Kind = Literal["jobs", "events"]

_NUMBERS = count(1)
_DESCRIPTORS = Path("/proc/self/fd")
_PATH_BYTES = 100
_READ_BYTES = 64
_GONE = {errno.ECONNREFUSED, errno.ENOENT}


class Listeners:
    """The sockets of this process. Only from the loop's own thread."""

    def __init__(self, database: Path, born: int) -> None:
        """Bind nothing yet; `born` tells this process from an earlier one of the same number."""
        self.directory = wake_directory(database)
        self.names: set[str] = set()
        self._prefix = f"{os.getpid()}-{born}-{next(_NUMBERS)}"
        self._sockets: dict[Kind, socket.socket] = {}
        self._tried: set[Kind] = set()

    def listen(self, kind: Kind, ring: Callable[[], None]) -> None:
        """Let others ring from now on; the first call for a kind counts."""
        if kind in self._tried:
            return
        self._tried.add(kind)
        name = f"{self._prefix}.{kind}"
        try:
            listener = self._bound(name)
        except (OSError, AttributeError):
            return
        self.names.add(name)
        self._sockets[kind] = listener
        asyncio.get_running_loop().add_reader(listener.fileno(), _heard, listener, ring)

    def close(self) -> None:
        """Take the sockets away, and the directory when nobody else has one in it."""
        for listener in self._sockets.values():
            asyncio.get_running_loop().remove_reader(listener.fileno())
            listener.close()
        for name in self.names:
            with suppress(OSError):
                (self.directory / name).unlink()
        if self._sockets:
            with suppress(OSError):
                self.directory.rmdir()
        self._sockets.clear()

    def _bound(self, name: str) -> socket.socket:
        self.directory.mkdir(exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listener.settimeout(0)
            with _Door(self.directory) as door:
                listener.bind(door.address(name))
        except BaseException:
            listener.close()
            raise
        return listener


class Bell:
    """Rings the sockets of others. Only from the writer's thread."""

    def __init__(self, database: Path, own: set[str]) -> None:
        """Leave out the sockets that are named in `own`."""
        self._directory = wake_directory(database)
        self._own = own
        self._door: _Door | None = None
        self._listed: tuple[int, int] | None = None
        self._names: list[str] = []
        self._socket: socket.socket | None = None

    def ring(self, *, jobs: bool, events: bool) -> None:
        """Send a byte to each listener of these kinds; never waits, never fails."""
        with suppress(OSError, AttributeError):
            for name in self._others():
                if (jobs and name.endswith(".jobs")) or (events and name.endswith(".events")):
                    self._send(name)

    def close(self) -> None:
        """Let go of the directory."""
        if self._door is not None:
            self._door.close()
        if self._socket is not None:
            self._socket.close()
        self._door = self._socket = self._listed = None

    def _others(self) -> Iterator[str]:
        try:
            status = self._directory.stat()
        except FileNotFoundError:
            return iter(())
        listed = (status.st_ino, status.st_mtime_ns)
        if listed != self._listed:
            if self._door is None or self._listed is None or self._listed[0] != status.st_ino:
                self.close()
                self._door = _Door(self._directory)
            self._names = sorted(path.name for path in self._directory.iterdir())
            self._listed = listed
        return (name for name in self._names if name not in self._own)

    def _send(self, name: str) -> None:
        if self._door is None:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(0)
        try:
            self._socket.sendto(b"!", self._door.address(name))
        except OSError as error:
            # A full buffer means that the other one has been rung already; one that died left its socket.
            if error.errno in _GONE:
                with suppress(OSError):
                    (self._directory / name).unlink()


class _Door:
    """A way to the sockets of a directory that fits into the few bytes of a socket's address."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = os.open(directory, os.O_RDONLY) if _DESCRIPTORS.is_dir() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def address(self, name: str) -> str:
        """What to bind or send to.

        Raises:
            OSError: the path is too long for a socket.
        """
        if self._descriptor is not None:
            return str(_DESCRIPTORS / str(self._descriptor) / name)
        path = str(self._directory / name)
        if len(os.fsencode(path)) > _PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, "too long for a socket's address", path)
        return path

    def close(self) -> None:
        """Let go of the directory."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def wake_directory(database: Path) -> Path:
    """Where the sockets of a database stand."""
    return database.with_name(f"{database.name}-wake")


def _heard(listener: socket.socket, ring: Callable[[], None]) -> None:
    with suppress(OSError):
        while listener.recv(_READ_BYTES):
            pass
    ring()
