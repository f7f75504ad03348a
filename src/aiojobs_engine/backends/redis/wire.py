"""One connection: commands go out as they come, and replies are handed out in the same order.

Any number of callers share a wire, so there is no pool to run dry, and their commands travel together. A
caller that is cancelled leaves its reply to be read and dropped: the connection stays in step. redis-py
opens, secures and authenticates the connection, hiredis writes and reads the protocol.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from aiojobs_engine.backends.redis.errors import Cut, Refused
from aiojobs_engine.backends.redis.script import Argument
from aiojobs_engine.ports.clock import Clock, Timer

_UNFINISHED = object()
_LATE = 0.25
_pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)


class Server(Connection):
    """A TCP connection of redis-py that gives its transport away once it is authenticated."""

    def hand_over(self) -> asyncio.StreamWriter:
        """The streams' writer; redis-py forgets about it."""
        return _taken(self)


class SecureServer(SSLConnection):
    """The same over TLS."""

    def hand_over(self) -> asyncio.StreamWriter:
        """The streams' writer; redis-py forgets about it."""
        return _taken(self)


class LocalServer(UnixDomainSocketConnection):
    """The same over a Unix socket."""

    def hand_over(self) -> asyncio.StreamWriter:
        """The streams' writer; redis-py forgets about it."""
        return _taken(self)


def _taken(connection: Any) -> asyncio.StreamWriter:
    writer = cast("asyncio.StreamWriter", connection._writer)  # noqa: SLF001 - of our own subclasses
    connection._reader = connection._writer = None  # noqa: SLF001
    return writer


class _Waiting:
    """Who waits for the next replies: their number, those that came, and since when."""

    __slots__ = ("count", "future", "replies", "since")

    def __init__(self, future: "asyncio.Future[list[Any] | Cut]", count: int, since: float) -> None:
        self.future = future
        self.count = count
        self.since = since
        self.replies: list[Any] = []


class Wire(asyncio.Protocol):
    """An open connection; `name` is the server's, for messages.

    Attributes:
        is_ready: it is open, and what was sent has left this process, all but a little.
    """

    def __init__(
        self, name: str, clock: Clock, timeout: float, on_push: Callable[[Any], None] | None = None
    ) -> None:
        """Give the connection up when a reply is `timeout` seconds late.

        Args:
            on_push: takes all that comes, which makes this a wire that is only listened to.
        """
        self.name = name
        self.is_ready = False
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._timeout = timeout
        self._on_push = on_push
        self._waiting: deque[_Waiting] = deque()
        self._timer: Timer | None = None
        self._due = 0.0
        self._cut: Cut | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()
        self._reader = hiredis.Reader(replyError=Refused, notEnoughData=_UNFINISHED)
        self._writer: asyncio.StreamWriter | None = None
        self._transport: asyncio.Transport | None = None

    def take_over(self, writer: asyncio.StreamWriter) -> None:
        """Go on with the connection that redis-py opened; nothing is under way on it."""
        self._writer = writer  # kept: a writer that is dropped closes its transport
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)
        self.is_ready = True
        if self._transport.is_closing():
            self._break(Cut(f"{self.name} closed the connection"))

    @property
    def is_open(self) -> bool:
        """Can it carry more?"""
        return self._cut is None

    async def wait_room(self) -> None:
        """Return when there is room, or the connection is gone."""
        await self._room.wait()

    def send(self, commands: Sequence[tuple[Argument, ...]]) -> "asyncio.Future[list[Any] | Cut]":
        """Send commands at once; their replies in order, each a value or a `Refused`, or how it was cut.

        The future never raises, so that nobody has to wait for it.
        """
        future: asyncio.Future[list[Any] | Cut] = self._loop.create_future()
        if self._cut is not None or self._transport is None:
            future.set_result(self._cut or Cut(f"{self.name} is not connected"))
            return future
        now = self._clock.monotonic()
        self._waiting.append(_Waiting(future, len(commands), now))
        if len(commands) == 1:
            self._transport.write(_pack(commands[0]))
        else:
            self._transport.write(b"".join(map(_pack, commands)))
        if self._timer is None:
            self._watch(now + self._timeout)
        return future

    def push(self, *words: Argument) -> None:
        """Send a command whose answer comes as a push (SUBSCRIBE)."""
        if self._transport is not None and self._cut is None:
            self._transport.write(_pack(words))

    def close(self, reason: str = "closed") -> None:
        """End the connection; whoever waits is told."""
        self._break(Cut(reason))

    async def wait_closed(self) -> None:
        """Return when the transport has let go; only after `close`."""
        if self._transport is not None:
            await self._gone.wait()

    def data_received(self, data: bytes) -> None:
        """Hand out the replies in `data`."""
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _UNFINISHED:
                if self._on_push is not None:
                    self._on_push(reply)
                    continue
                head = waiting[0]
                head.replies.append(reply)
                if len(head.replies) == head.count:
                    waiting.popleft()
                    if not head.future.done():
                        head.future.set_result(head.replies)
        except (hiredis.ProtocolError, IndexError) as error:
            self._break(Cut(f"{self.name} doesn't speak the protocol of Redis ({error})"))

    def pause_writing(self) -> None:
        """The transport holds much that has not left."""
        self.is_ready = False
        self._room.clear()

    def resume_writing(self) -> None:
        """It has left."""
        self.is_ready = self._cut is None
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._break(Cut(f"{self.name} closed the connection{f' ({exc})' if exc else ''}"))
        self._gone.set()

    def _watch(self, due: float) -> None:
        self._due = due
        self._timer = self._clock.call_later(due - self._clock.monotonic(), self._look)

    def _look(self) -> None:
        """Is a reply late? A loop that itself was late looks again before it blames the server."""
        self._timer = None
        if not self._waiting:
            return
        now = self._clock.monotonic()
        due = self._waiting[0].since + self._timeout
        if now < due:
            self._watch(due)
        elif now > self._due + _LATE:
            self._watch(now + _LATE)
        else:
            self._break(Cut(f"{self.name} has not answered for {self._timeout:g} s"))

    def _break(self, cut: Cut) -> None:
        if self._cut is not None:
            return
        self._cut = cut
        self.is_ready = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._room.set()
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_result(cut)
        if self._on_push is not None:
            self._on_push(cut)
