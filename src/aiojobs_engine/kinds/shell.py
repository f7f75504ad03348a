"""`shell` jobs: programs that the operator allowed, started without a shell."""

import asyncio
import os
import resource
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from aiojobs_engine.core.errors import ConfigError, Discard, EngineError
from aiojobs_engine.net.deadline import within
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.runtime.task_group import start

OUTPUT_BYTES = 64 * 1024
GRACE = 2.0
_PIECE = 64 * 1024
_TOLD = 1_000
_CLEAN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
_LOADERS = (
    "LD_",
    "DYLD_",
    "PYTHON",
    "PERL",
    "RUBY",
    "NODE_",
    "LUA_",
    "GIT_",
    "BASH_FUNC_",
    "OPENSSL_",
    "JAVA_",
)
_LOADING = frozenset(
    {
        "BASH_ENV",
        "ENV",
        "IFS",
        "SHELLOPTS",
        "BASHOPTS",
        "PS4",
        "PROMPT_COMMAND",
        "ZDOTDIR",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "LOCPATH",
        "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "PHPRC",
        "PHP_INI_SCAN_DIR",
    }
)


class ShellError(EngineError):
    """The program ended with another code than 0, or by a signal."""


class ShellResult(msgspec.Struct, frozen=True):
    """What a program printed; what is no UTF-8 is replaced.

    Attributes:
        is_cut: it printed more than is kept.
    """

    code: int
    stdout: str
    stderr: str
    is_cut: bool


class _Place(msgspec.Struct, frozen=True):
    allowed: frozenset[str]
    env: dict[str, str]
    cwd: str
    output_bytes: int
    limits: dict[int, int]


def shell(
    *,
    allow: Sequence[str | os.PathLike[str]],
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] = "/",
    output_bytes: int = OUTPUT_BYTES,
    limits: Mapping[int, int] | None = None,
    name: str = "shell",
) -> JobRegistry:
    """A job type that runs programs: `engine.dispatch("shell", argv=["/usr/bin/rsync", "-a"], data=[path])`.

    `argv` is the program, by its absolute path, and its options; `data` stands behind `--`, so that it can't
    be taken for options. No shell reads either. Another code than 0 fails the attempt. When the job is
    cancelled, times out or ends, the program's process group is ended: SIGTERM, 2 s later SIGKILL.

    Args:
        allow: absolute paths of the programs; they are compared after links are resolved.
        env: the environment beside PATH and LANG; nothing of the worker's own is handed on.
        cwd: where programs start.
        output_bytes: of standard output and error each; what is beyond is read and dropped.
        limits: by number of `resource.RLIMIT_*`, on Linux; no core files without.
        name: that of the job type.

    Raises:
        ConfigError: a path is not absolute or no program, or the environment would load code.
    """
    place = _Place(
        allowed=frozenset(_program(path) for path in allow),
        env={**_CLEAN, **_environment(env or {})},
        cwd=str(Path(cwd).resolve(strict=True)),
        output_bytes=output_bytes,
        limits=dict(limits or {}),
    )
    if not place.allowed:
        raise ConfigError("shell jobs need allow=[...], the absolute paths of the programs that may run")
    registry = JobRegistry()

    async def run(ctx: JobContext, argv: list[str], data: list[str] | None = None) -> ShellResult:
        words = [_chosen(argv, place.allowed), *argv[1:], *(["--", *data] if data else [])]
        if any("\0" in word for word in words):
            raise Discard("arguments of programs have no NUL")
        result = await _run(words, place, ctx)
        if result.code != 0:
            told = result.stderr[-_TOLD:].strip()
            how = f"code {result.code}" if result.code > 0 else f"signal {-result.code}"
            raise ShellError(f"{argv[0]} ended with {how}: {told}")
        return result

    registry.job(name=name)(run)
    return registry


def _program(path: str | os.PathLike[str]) -> str:
    given = os.fspath(path)
    if not Path(given).is_absolute():
        raise ConfigError(f"{given!r} must be an absolute path; a bare name could be any program")
    real = os.path.realpath(given)
    try:
        mode = Path(real).stat().st_mode
    except OSError as error:
        raise ConfigError(f"{given!r} can't be allowed: {error}") from error
    if not stat.S_ISREG(mode) or not os.access(real, os.X_OK):
        raise ConfigError(f"{given!r} is no program")
    if mode & stat.S_IWOTH or any(map(_is_open, Path(real).parents)):
        raise ConfigError(f"{given!r} may be changed by everybody, so it is not allowed")
    return real


def _is_open(folder: Path) -> bool:
    """Whether everybody may put another file in the place of one in the folder."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    for key, value in env.items():
        if not key or "=" in key or "\0" in f"{key}{value}":
            raise ConfigError(f"{key!r:.80} is no variable that a program can have")
        if key.upper().startswith(_LOADERS) or key.upper() in _LOADING:
            raise ConfigError(f"the variable {key} could load code into programs; leave it out")
    return dict(env)


def _chosen(argv: Sequence[str], allowed: frozenset[str]) -> str:
    if not argv or not argv[0].startswith("/") or "\0" in argv[0]:
        raise Discard("argv begins with the absolute path of a program")
    real = os.path.realpath(argv[0])
    if real not in allowed:
        raise Discard(f"the program {argv[0]!r:.200} is not allowed here")
    return real


async def _run(words: Sequence[str], place: _Place, ctx: JobContext) -> ShellResult:
    clock: Clock = ctx.engine.clock
    out, err = _Heard(place.output_bytes), _Heard(place.output_bytes)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out.mouth,
            stderr=err.mouth,
            env=place.env,
            cwd=place.cwd,
            start_new_session=True,
            umask=0o077,
        )
        try:  # whatever ends the run from here on ends the program too
            _limit(process.pid, place.limits)
            await out.listen()
            await err.listen()
            code = await process.wait()
        finally:
            await asyncio.shield(_end(process, clock))
            await asyncio.shield(_hear_out([out, err], clock))
    finally:
        out.close()
        err.close()
    return ShellResult(code, out.text, err.text, out.is_cut or err.is_cut)


class _Heard:
    """The first bytes that a program says on one stream, and whether there are more; all of it is read.

    The pipe is not the process's own: `wait` would then return only when nobody holds it any more.
    """

    def __init__(self, most: int) -> None:
        ear, self.mouth = os.pipe()
        self.is_cut = False
        self.task: asyncio.Task[None] | None = None
        self._ear = os.fdopen(ear, "rb", buffering=0)
        self._kept = bytearray()
        self._most = most
        self._transport: asyncio.ReadTransport | None = None

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    async def listen(self) -> None:
        os.close(self.mouth)
        self.mouth = -1
        reader = asyncio.StreamReader(limit=_PIECE)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._ear
        )
        self.task = start(self._read(reader), "aiojobs:shell")

    def close(self) -> None:
        if self.mouth >= 0:
            os.close(self.mouth)
        if self._transport is None:
            self._ear.close()
        else:
            self._transport.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(_PIECE):
            self.is_cut = self.is_cut or len(self._kept) + len(piece) > self._most
            self._kept += piece[: self._most - len(self._kept)]


async def _end(process: asyncio.subprocess.Process, clock: Clock) -> None:
    """End the group of the program: all that it started and that did not leave the group."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with within(clock, GRACE):
                await process.wait()
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


async def _hear_out(streams: Sequence[_Heard], clock: Clock) -> None:
    """Read what is left; a process that has left the group and holds the streams open is not waited for."""
    tasks = [stream.task for stream in streams if stream.task is not None]
    if not tasks:
        return
    with suppress(TimeoutError):
        async with within(clock, GRACE):
            await asyncio.wait(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _limit(pid: int, limits: Mapping[int, int]) -> None:
    if not sys.platform.startswith("linux"):
        return
    with suppress(ProcessLookupError):
        for number, most in {resource.RLIMIT_CORE: 0, **limits}.items():
            resource.prlimit(pid, number, (most, most))
