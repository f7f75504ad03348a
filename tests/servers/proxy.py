"""A TCP proxy that knows where each command and each reply ends, so that it can hurt a chosen one.

A plain proxy can't do what matters most: let a command be executed and lose its reply.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from aiojobs_engine.backends.redis.script import Script
from aiojobs_engine.runtime.system_clock import SystemClock

Words = Sequence[bytes]
Match = Callable[[Words], bool]

_SLICE = 1


def frames(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The whole values at the head of `buffer`, each in its own bytes, and what is left over."""
    found: list[bytes] = []
    start = 0
    while (end := _end_of(buffer, start)) is not None:
        found.append(buffer[start:end])
        start = end
    return found, buffer[start:]


def words_in(frame: bytes) -> list[bytes]:
    """The words of a command, an array of bulk strings."""
    words: list[bytes] = []
    at = frame.index(b"\r\n") + 2
    while at < len(frame):
        end = frame.index(b"\r\n", at)
        size = int(frame[at + 1 : end])
        words.append(frame[end + 2 : end + 2 + size])
        at = end + 4 + size
    return words


def _end_of(buffer: bytes, start: int) -> int | None:
    line = buffer.find(b"\r\n", start)
    if line < 0:
        return None
    kind, rest, end = buffer[start : start + 1], buffer[start + 1 : line], line + 2
    if kind == b"$":
        size = int(rest)
        end += 0 if size < 0 else size + 2
        return end if end <= len(buffer) else None
    if kind == b"*":
        for _ in range(max(int(rest), 0)):
            inner = _end_of(buffer, end)
            if inner is None:
                return None
            end = inner
    return end


def command(name: str) -> Match:
    """Commands of this name."""
    return lambda words: words[0].upper() == name.upper().encode()


def script(*scripts: Script) -> Match:
    """Runs of these scripts, by digest or in full."""
    known = {each.digest.encode() for each in scripts} | {each.source for each in scripts}
    return lambda words: words[0].upper() in (b"EVALSHA", b"EVAL") and words[1] in known


@dataclass(eq=False)
class Fault:
    """Something that happens to the next commands that match, `times` of them.

    Attributes:
        struck: how many it has met.
        met: is set when it has met one.
    """

    match: Match
    kind: str
    times: int = 1
    seconds: float = 0.0
    struck: int = 0
    met: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def strikes(self, kind: str, words: Words) -> bool:
        """Does it happen to this command now?"""
        if self.kind != kind or self.struck >= self.times or not self.match(words):
            return False
        self.struck += 1
        self.met.set()
        return True


class Proxy:
    """Listens on a port of its own and passes on to a server on loopback.

    Attributes:
        seen: the words of every command that came through.
        connections: how many were opened.
    """

    def __init__(self, port: int) -> None:
        """Pass on to `port`."""
        self._target = port
        self._clock = SystemClock()
        self.port = 0
        self.seen: list[list[bytes]] = []
        self.connections = 0
        self._faults: list[Fault] = []
        self._is_dribbling = False
        self._delay = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._open: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        for fault in self._faults:
            fault.released.set()
        self.cut()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def swallow(self, match: Match, times: int = 1) -> Fault:
        """Let the server execute the command, drop the reply, and cut the connection."""
        return self._add(Fault(match, "swallow", times))

    def lose(self, match: Match, times: int = 1) -> Fault:
        """Cut the connection before the server gets the command."""
        return self._add(Fault(match, "lose", times))

    def halve(self, match: Match, times: int = 1) -> Fault:
        """Cut the connection in the middle of the reply."""
        return self._add(Fault(match, "halve", times))

    def hold(self, match: Match) -> Fault:
        """Keep the command back until the fault is `released`; the server gets it then, whoever is left."""
        return self._add(Fault(match, "hold"))

    def dribble(self, seconds: float) -> None:
        """Pass replies on byte by byte, each reply `seconds` late."""
        self._is_dribbling = True
        self._delay = seconds

    def blackhole(self) -> None:
        """Pass nothing on, and close nothing."""
        self._flowing.clear()

    def heal(self) -> None:
        """Pass everything on again."""
        self._faults.clear()
        self._is_dribbling = False
        self._delay = 0.0
        self._flowing.set()

    def cut(self) -> None:
        """Reset every open connection."""
        for pair in list(self._open):
            pair.cut()

    def count(self, match: Match) -> int:
        """How many commands that match came through."""
        return sum(match(words) for words in self.seen)

    def _add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(self, (reader, writer), onward)
        self._open.add(pair)
        try:
            await pair.run()
        finally:
            self._open.discard(pair)
            pair.cut()

    def struck(self, kind: str, words: Words) -> Fault | None:
        """The fault of this kind that meets a command now."""
        return next((fault for fault in self._faults if fault.strikes(kind, words)), None)

    async def flow(self) -> None:
        """Return when things may pass."""
        await self._flowing.wait()

    async def pass_reply(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        """Hand one reply to the client, as slow as told."""
        if self._delay:
            await self._clock.sleep(self._delay)
        if not self._is_dribbling:
            writer.write(frame)
            return
        for place in range(0, len(frame), _SLICE):
            writer.write(frame[place : place + _SLICE])
            await writer.drain()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pair:
    """One client's connection and its onward one."""

    def __init__(self, proxy: Proxy, client: Streams, server: Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._sent: deque[list[bytes]] = deque()

    async def run(self) -> None:
        forth = asyncio.create_task(self._forth())
        try:
            with suppress(OSError):
                await self._back()
        finally:
            forth.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await forth

    def cut(self) -> None:
        for _, writer in (self._client, self._server):
            writer.transport.abort()

    async def _forth(self) -> None:
        """Commands, to the server."""
        rest = b""
        while data := await self._client[0].read(1 << 16):
            await self._proxy.flow()
            found, rest = frames(rest + data)
            for frame in found:
                words = words_in(frame)
                self._proxy.seen.append(words)
                if self._proxy.struck("lose", words):
                    self.cut()
                    return
                if fault := self._proxy.struck("hold", words):
                    await asyncio.shield(fault.released.wait())
                self._sent.append(words)
                self._server[1].write(frame)
        self.cut()

    async def _back(self) -> None:
        """Replies, to the client."""
        rest = b""
        while data := await self._server[0].read(1 << 16):
            await self._proxy.flow()
            found, rest = frames(rest + data)
            for frame in found:
                words = self._sent.popleft() if self._sent else [b"(pushed)"]
                if self._proxy.struck("swallow", words):
                    self.cut()
                    return
                if self._proxy.struck("halve", words):
                    self._client[1].write(frame[: max(1, len(frame) // 2)])
                    await self._client[1].drain()
                    self._client[1].close()
                    return
                await self._proxy.pass_reply(frame, self._client[1])
