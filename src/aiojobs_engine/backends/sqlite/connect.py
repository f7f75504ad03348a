"""Connections and what they are set to; whether the place of the file will do."""

import logging
import os
import sqlite3
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from aiojobs_engine.core.errors import ConfigError

Durability = Literal["full", "normal"]

BUSY_SECONDS = 5.0
_CACHE_KIB = 4_000
_CHECKPOINT_PAGES = 2_000
_WAL_BYTES = 64 * 1024 * 1024
_SHARED_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "ncpfs"}
)
_log = logging.getLogger(__name__)


def check_place(path: Path) -> None:
    """Refuse a directory that SQLite can't write to: beside the database it keeps a log and an index of it.

    Raises:
        ConfigError: the directory is missing or read-only, the file is a directory or read-only, or its name
            is too long.
    """
    directory = path.parent
    try:
        Path(f"{path}-journal").exists()
    except OSError as error:
        raise ConfigError(f"{path.name:.80} can't be the name of a database: {error.strerror}") from error
    if not directory.is_dir():
        raise ConfigError(f"{directory} is no directory, so {path.name} can't be kept there; create it first")
    if path.is_dir():
        raise ConfigError(f"{path} is a directory; name a file in the URL")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{directory} is read-only; SQLite writes its log beside {path.name}: make it writable"
        )
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise ConfigError(f"{path} is read-only; make it writable for this user")
    if (kind := is_on_network(directory)) is not None:
        _log.warning("%s lies on a network file system (%s), where SQLite's locks don't hold", path, kind)


def connect_writer(path: Path, durability: Durability) -> sqlite3.Connection:
    """The one connection of this process that writes; it creates the file when there is none."""
    connection = sqlite3.connect(
        _uri(path, "rwc"),
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute(f"PRAGMA synchronous = {durability.upper()}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def reader_uri(path: Path) -> str:
    """The URI of a connection that can neither write nor create."""
    return _uri(path, "ro")


def is_on_network(directory: Path) -> str | None:
    """The kind of its file system where others share that over a network, else None."""
    kind = _file_system(directory)
    return kind if kind in _SHARED_FILE_SYSTEMS else None


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def _file_system(directory: Path) -> str:
    """The type of the file system as Linux names it, empty where that can't be told."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place = str(directory.resolve())
    best, kind = "", ""
    for mount in mounts:
        fields, _, after = mount.partition(" - ")
        point = fields.split()[4].replace("\\040", " ")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind
