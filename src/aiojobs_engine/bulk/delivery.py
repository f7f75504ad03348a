"""Where the file of an export goes: the names that a caller may give, and the step that makes it appear."""

import contextlib
import errno
import os
import re
import secrets
import stat
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import BinaryIO

from aiojobs_engine.core.errors import BackendFull, DeliveryError, PayloadError

_NAME_BYTES = 255
_SPARE = 64  # for the name of the unfinished file beside it
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_ODD = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')


def checked_path(to: str | os.PathLike[str]) -> str:
    """`to` as an absolute path, from the working directory of this process.

    Raises:
        PayloadError: it leads upward, is no name that every system takes, or its directory is not there.
    """
    text = os.fspath(to)
    path = PurePath(text)
    problem = None
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = "is no text"
    elif _CONTROL.search(text):
        problem = "has control characters"
    elif ".." in path.parts or ".." in text.split("\\"):
        problem = "leads upward with '..'; resolve it first"
    elif "\\" in text or re.match(r"[A-Za-z]:", text):
        problem = "is a path of another system"
    elif _DEVICES.fullmatch(path.name):
        problem = "is the name of a device"
    elif len(path.name.encode("utf-8", "surrogatepass")) > _NAME_BYTES - _SPARE:
        problem = f"has a name of more than {_NAME_BYTES - _SPARE} bytes"
    if problem is not None:
        raise PayloadError(f"to={text!r:.120} {problem}", argument="to")
    return str(Path.cwd() / path)


def check_directory(path: str) -> None:
    """Nothing, when a file can be put there as far as can be seen from here.

    Raises:
        PayloadError: the directory is not there, or something that is no file has the name.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise PayloadError(
            f"to={path!r:.240}: there is no directory {str(target.parent)!r:.240}", argument="to"
        )
    if not _is_free(target):
        raise PayloadError(f"to={path!r:.240} is there already, and no regular file", argument="to")


def offered_name(to: str, suffix: str, default: str) -> str:
    """A file's name to offer to people, made of the last part of what they asked for."""
    last = _ODD.sub("_", re.split(r"[/\\]", to)[-1])
    stem = (last[: -len(suffix)] if last.lower().endswith(suffix) else last).strip(" .")
    stem = stem.encode("utf-8", "replace")[:100].decode("utf-8", "ignore").strip(" .")
    if not stem or _DEVICES.fullmatch(stem):
        stem = default
    return stem + suffix


class Target:
    """A file that appears under its name when all of it is on disk, and not at all before. Blocking calls.

    It is written beside its place under a hidden name, then synced and renamed. Unfinished files that dead
    runs of the same job left there are removed.
    """

    def __init__(self, path: str | Path, job_id: str) -> None:
        """Begin.

        Raises:
            DeliveryError: the directory can't be written to.
            BackendFull: the disk is full.
        """
        self._path = Path(path)
        left = f".{self._path.name}.{blake2b(job_id.encode(), digest_size=6).hexdigest()}."
        self._part = self._path.parent / f"{left}{secrets.token_hex(4)}.part"
        try:
            if not _is_free(self._path):
                raise DeliveryError(f"{str(path)!r} is there already, and no regular file")
            for old in self._path.parent.iterdir():
                if old.name.startswith(left) and old.name.endswith(".part"):
                    old.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
            self._file: BinaryIO = os.fdopen(os.open(self._part, flags, 0o666), "wb")
        except OSError as error:
            raise self._trouble(error) from error

    def write(self, block: bytes) -> None:
        """Add to the file.

        Raises:
            DeliveryError, BackendFull: as above.
        """
        try:
            self._file.write(block)
        except OSError as error:
            raise self._trouble(error) from error

    def sync(self) -> None:
        """Have all of it on disk, still under the hidden name."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._trouble(error) from error

    def publish(self) -> None:
        """Give it its name, in place of what had it.

        Raises:
            DeliveryError: another run of the job took over meanwhile.
        """
        try:
            self._part.replace(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise self._trouble(error) from error

    def discard(self) -> None:
        """Leave nothing behind of what was not published."""
        with contextlib.suppress(OSError):  # a full disk refuses the last bytes
            self._file.close()
        self._part.unlink(missing_ok=True)

    def _trouble(self, error: OSError) -> Exception:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return BackendFull(f"no room for {str(self._path)!r}: {error.strerror}")
        return DeliveryError(f"{str(self._path)!r} can't be written: {error.strerror or error}")


def _is_free(target: Path) -> bool:
    """Whether a rename may put a file there: nothing, a file, or a link, which gives way itself."""
    try:
        mode = target.lstat().st_mode
    except OSError:
        return True
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
