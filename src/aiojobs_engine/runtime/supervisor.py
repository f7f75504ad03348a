"""Several worker processes under one parent: started, kept alive, stopped together.

Parent and child share a socket pair, the lifeline. On it the child says that it is up and that it ended in
good order, and hears that it is to stop. A process that ends without having said so was killed, whatever its
exit code: a handler may call `os._exit(0)`. When the parent dies, the lifeline breaks and the children drain.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence

from aiojobs_engine.ports.clock import Clock, Timer, Wake
from aiojobs_engine.runtime.task_group import join, start

logger = logging.getLogger(__name__)

_QUICK = 5.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
_MOST_DOUBLINGS = 20
_KILL_AFTER = 10.0
_CHUNK = 4096

_READY = b"ready"
_DONE = b"done"
_STOP = b"stop\n"
_NOW = b"now\n"


Command = Callable[[int, int], Sequence[str]]
"""A program and its arguments, given the descriptor of its `Lifeline` and the number of its place, from 0."""


class Supervisor:
    """Keeps `count` worker processes up until all of them have ended.

    Attributes:
        settled: runs that its processes reported when they ended in good order.
        restarts: processes that were started in place of one that died.
    """

    def __init__(self, command: Command, count: int, clock: Clock) -> None:
        """Start `count` processes, at least 1."""
        self._command = command
        self._clock = clock
        self._places = [_Place(clock, number) for number in range(count)]
        self._killer: Timer | None = None
        self._is_stopping = False
        self._is_up = asyncio.Event()
        self._code = 0
        self.settled = 0
        self.restarts = 0

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [place.child.pid for place in self._places if place.child is not None]

    async def run(self) -> int:
        """Return when all processes have ended: 0, or the exit code of the first that couldn't start.

        The others start when the first is up, so that what keeps them from starting is told once.
        A process that dies is replaced, later and later (up to 30 s) while they die within 5 s. One that dies
        before any was up ends the others too. Cancelling kills them all.
        """
        tasks = [start(self._keep(place), "aiojobs:place") for place in self._places[:1]]
        tasks += [start(self._follow(place), "aiojobs:place") for place in self._places[1:]]
        try:
            for task in tasks:
                await join(task)
        except asyncio.CancelledError:
            self._is_stopping = True
            self._is_up.set()
            self.kill()
            for task in tasks:
                await join(task)
            raise
        finally:
            if self._killer is not None:
                self._killer.cancel()
        for task in tasks:
            task.result()
        return self._code

    def stop(self) -> None:
        """Tell every process to drain. May be repeated."""
        self._is_stopping = True
        self._is_up.set()
        self._tell(_STOP)

    def stop_now(self) -> None:
        """Tell every process to hand back what it runs; those that live 10 s later are killed."""
        self._is_stopping = True
        self._is_up.set()
        self._tell(_NOW)
        if self._killer is None:
            self._killer = self._clock.call_later(_KILL_AFTER, self.kill)

    def kill(self) -> None:
        """End every process at once; what they ran is run again when the leases end."""
        for place in self._places:
            if place.child is not None:
                place.child.kill()

    def _tell(self, message: bytes) -> None:
        for place in self._places:
            place.wake.set()
            if place.child is not None:
                place.child.tell(message)

    async def _follow(self, place: "_Place") -> None:
        await self._is_up.wait()
        await self._keep(place)

    async def _keep(self, place: "_Place") -> None:
        while not self._is_stopping:
            place.wake = Wake(self._clock)
            child = place.child = await self._started(place)
            if child is None:
                continue
            if self._is_stopping:
                child.tell(_STOP)
            started_at = self._clock.monotonic()
            await child.wait(self._is_up.set)
            place.child = None
            self.settled += child.settled
            if child.is_done:
                return
            if self._is_last_straw(child):
                return
            await self._pause(place, child, self._clock.monotonic() - started_at)

    async def _started(self, place: "_Place") -> "_Child | None":
        """A new process; None when the machine had no room for one, after a pause."""
        try:
            return await _Child.start(self._command, place.number)
        except OSError as error:
            if not self._is_up.is_set():
                self.stop()
                raise
            logger.warning("no worker process could be started: %s", error)
            await place.wake.wait(place.next_pause(0.0))
            return None

    def _is_last_straw(self, child: "_Child") -> bool:
        if not self._is_up.is_set():
            self._code = child.exit_code
            self.stop()
        elif self._is_stopping:
            logger.error("worker process %d %s before it had drained", child.pid, child.end)
            self._code = self._code or 1
        return self._is_stopping

    async def _pause(self, place: "_Place", child: "_Child", lived: float) -> None:
        pause = place.next_pause(lived)
        logger.warning(
            "worker process %d %s; the next one starts in %.1f s, its jobs run again when their leases end",
            child.pid,
            child.end,
            pause,
        )
        self.restarts += 1
        await place.wake.wait(pause)


class Lifeline:
    """The child's end of it, by the descriptor that the supervisor handed over."""

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor over.

        Raises:
            OSError: it is no socket of this process.
        """
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(0)
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's signature

    def listen(self, stop: Callable[[], object], stop_now: Callable[[], object]) -> None:
        """In the loop, call `stop` when the parent says so or is gone, and `stop_now` when it says that."""
        asyncio.get_running_loop().add_reader(self._socket, self._hear, stop, stop_now)

    def ready(self) -> None:
        """Say that the worker is about to run."""
        self._send(_READY + b"\n")

    def done(self, settled: int) -> None:
        """Say that the worker ended in good order; `settled` runs were its."""
        self._send(b"%s %d\n" % (_DONE, settled))

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _hear(self, stop: Callable[[], object], stop_now: Callable[[], object]) -> None:
        try:
            heard = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            asyncio.get_running_loop().remove_reader(self._socket)
        if _NOW in heard:
            stop_now()
        else:
            stop()

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(message)


class _Place:
    """One of the processes that are to run: the one that does, if any."""

    __slots__ = ("_quick_deaths", "child", "number", "wake")

    def __init__(self, clock: Clock, number: int) -> None:
        self.number = number
        self.child: _Child | None = None
        self.wake = Wake(clock)
        self._quick_deaths = 0

    def next_pause(self, lived: float) -> float:
        """Seconds until the next start, by how long the last process lived, and those before it."""
        self._quick_deaths = min(self._quick_deaths + 1, _MOST_DOUBLINGS) if lived < _QUICK else 0
        return min(_FIRST_PAUSE * (1 << self._quick_deaths), _LONGEST_PAUSE)


class _Child:
    """A worker process and the parent's end of its lifeline."""

    def __init__(self, process: asyncio.subprocess.Process, ours: socket.socket) -> None:
        self._process = process
        self._socket = ours
        self._heard = b""
        self.settled = 0
        self.is_done = False

    @classmethod
    async def start(cls, command: Command, number: int) -> "_Child":
        """A new process, in a session of its own: Ctrl-C in a terminal reaches the parent alone."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command(theirs.fileno(), number), pass_fds=(theirs.fileno(),), start_new_session=True
                )
            except BaseException:
                ours.close()
                raise
        ours.settimeout(0)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int:
        """The exit code, 1 after a signal or an end without a word."""
        code = self._process.returncode
        return code if code is not None and code > 0 else 1

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode or 0
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    async def wait(self, on_ready: Callable[[], None]) -> None:
        """Return when it has ended."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._hear, on_ready)
        try:
            await self._process.wait()
        finally:
            loop.remove_reader(self._socket)
        while self._hear(on_ready):
            pass
        self._socket.close()

    def tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(message)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _hear(self, on_ready: Callable[[], None]) -> bool:
        try:
            heard = self._socket.recv(_CHUNK)
        except OSError:
            return False
        if not heard:
            asyncio.get_running_loop().remove_reader(self._socket)
            return False
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == _READY:
                on_ready()
            elif word == _DONE:
                self.is_done = True
                self.settled = int(number)
        return True
