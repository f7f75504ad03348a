"""The client: scripts and commands, in batches, each repeated until it is answered or time is up."""

import os
from collections.abc import Sequence
from random import Random
from typing import Any

from aiojobs_engine.backends.redis.address import Address, Node
from aiojobs_engine.backends.redis.connect import Connector
from aiojobs_engine.backends.redis.errors import Cut, Refused, Verdict, translated, verdict
from aiojobs_engine.backends.redis.lines import Lines, ManyServers, OneServer
from aiojobs_engine.backends.redis.patience import Patience
from aiojobs_engine.backends.redis.script import (
    Argument,
    Call,
    Command,
    Request,
    Script,
    key_of,
    words_of,
    words_of_call,
)
from aiojobs_engine.backends.redis.wire import Wire
from aiojobs_engine.core.errors import BackendClosed, ConfigError, ForkedEngineError
from aiojobs_engine.ports.clock import Clock

_SHUT_OUT = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "ERR"})


class Client:
    """The connections of one engine to its servers.

    Everything sent must be safe to repeat, for a reply may be lost after the work was done.

    Attributes:
        address: what the URL says.
        commands: how many commands were sent since the start.
        round_trips: how many times something was sent and an answer awaited.
    """

    def __init__(self, address: Address, *, clock: Clock, rng: Random | None = None) -> None:
        """Touch nothing before `open`; take jitter from `rng`."""
        self.address = address
        self.commands = 0
        self.round_trips = 0
        self._clock = clock
        self._rng = rng or Random()
        self._connector = Connector(address, clock)
        self._lines: Lines | None = None
        self._is_guarded = address.kind == "cluster"
        self._pid = os.getpid()

    @property
    def connector(self) -> Connector:
        """What opens connections here, for those who need one of their own."""
        return self._connector

    @property
    def is_open(self) -> bool:
        """Between `open` and `close`?"""
        return self._lines is not None

    async def open(self) -> None:
        """Connect.

        Raises:
            ConfigError: the servers will not have us.
            BackendUnavailable: they can't be reached, tried once, or are still loading after `retry_for`.
        """
        self._pid = os.getpid()
        kind = ManyServers if self.address.kind == "cluster" else OneServer
        lines: Lines = kind(self.address, self._connector)
        patience = Patience(self._clock, self._rng, self.address.retry_for, self.address.shown)
        try:
            while True:
                try:
                    for wire in await lines.all():
                        _value(await wire.send([("PING",)]))
                except Cut as cut:
                    raise translated(cut, self.address.shown) from cut
                except Refused as refused:
                    if refused.code in _SHUT_OUT:
                        raise ConfigError(
                            f"{self.address.shown} will not have this engine: {refused.text:.200}"
                        ) from refused
                    await patience.rest(refused)
                else:
                    break
        except BaseException:
            await lines.close()
            raise
        self._lines = lines

    async def close(self) -> None:
        """Let what was sent be answered, and let go; may be repeated."""
        lines, self._lines = self._lines, None
        if lines is not None and self._pid == os.getpid():
            await lines.close()

    async def call(self, script: Script, keys: Sequence[bytes | str], args: Sequence[Argument] = ()) -> Any:
        """The reply of one script; see `send`."""
        wire = self._opened().ready(keys[0] if keys else None)
        if wire is not None:
            self.commands += 1
            self.round_trips += 1
            replies = await wire.send((words_of_call(script, keys, args, is_guarded=self._is_guarded),))
            if not isinstance(replies, Cut):
                reply = replies[0]
                if not isinstance(reply, Refused):
                    return reply
                if verdict(reply) is Verdict.FATAL:
                    raise translated(reply, self.address.shown) from reply
        return (await self.send((Call(script, keys, args),)))[0]

    def tell(self, script: Script, keys: Sequence[bytes | str], args: Sequence[Argument] = ()) -> None:
        """Send a script once, without waiting for what it answers; it may be lost."""
        wire = None if self._lines is None else self._lines.ready(keys[0])
        if wire is not None:
            self.note(1)
            _ = wire.send((self.words(Call(script, keys, args), in_full=True),))

    async def calls(self, calls: Sequence[Call]) -> list[Any]:
        """The replies of many scripts, sent together; see `send`."""
        return await self.send(calls)

    async def command(self, *words: Argument) -> Any:
        """The reply of one command that only reads, whose second word is its key; see `send`."""
        key = words[1] if len(words) > 1 else None
        return (await self.send((Command(words, key if isinstance(key, bytes | str) else None),)))[0]

    async def send(self, requests: Sequence[Request]) -> list[Any]:
        """The replies, in order, of requests that travel together, per server in one round trip.

        Each is repeated, with pauses, while a server is away, loading, busy, failing over or moving the slot.

        Raises:
            BackendUnavailable: one of them was not answered within `retry_for`; any may have taken place.
            BackendFull: the server has no memory for one of them.
            Refused: a script or command is at fault.
        """
        return await _Exchange(self, requests).replies() if requests else []

    async def everywhere(self, *words: Argument) -> dict[str, Any]:
        """The reply of each primary to one command that only reads, by the server's name."""
        patience = self.patience()
        while True:
            answers: dict[str, Any] = {}
            try:
                for wire in await self._opened().all():
                    self.note(1)
                    replies = await wire.send((words,))
                    answers[wire.name] = _value(replies)
            except (Cut, Refused) as trouble:
                if isinstance(trouble, Refused) and verdict(trouble) is Verdict.FATAL:
                    raise translated(trouble, self.address.shown) from trouble
                await patience.rest(trouble)
            else:
                return answers

    def patience(self) -> Patience:
        """The patience of one call."""
        return Patience(self._clock, self._rng, self.address.retry_for, self.address.shown)

    def lines(self) -> Lines:
        """The open connections."""
        return self._opened()

    def words(self, request: Request, *, in_full: bool = False) -> tuple[Argument, ...]:
        """The command that is sent for a request."""
        return words_of(request, in_full=in_full, is_guarded=self._is_guarded)

    def note(self, commands: int) -> None:
        """Count what is sent."""
        self.commands += commands
        self.round_trips += 1

    def _opened(self) -> Lines:
        if self._pid != os.getpid():
            raise ForkedEngineError(
                f"{self.address.shown} was opened by process {self._pid} and this is {os.getpid()}: "
                "open a new engine after a fork"
            )
        if self._lines is None:
            raise BackendClosed(f"{self.address.shown} is not open: use the engine inside async with engine:")
        return self._lines


def _value(replies: "list[Any] | Cut") -> Any:
    if isinstance(replies, Cut):
        raise replies
    if isinstance(replies[0], Refused):
        raise replies[0]
    return replies[0]


class _Exchange:
    """Requests on their way to an answer each."""

    def __init__(self, client: Client, requests: Sequence[Request]) -> None:
        self._client = client
        self._requests = requests
        self._replies: list[Any] = [None] * len(requests)
        self._left = list(range(len(requests)))
        self._in_full: set[int] = set()
        self._asking: dict[int, Node] = {}
        self._trouble: Cut | Refused | None = None
        self._fatal: Refused | None = None

    async def replies(self) -> list[Any]:
        """All replies, in order."""
        patience: Patience | None = None
        while True:
            self._trouble = None
            try:
                placed = await self._place()
            except (Cut, Refused) as trouble:
                self._blame(trouble)
                self._trouble = trouble
            else:
                await self._go(placed)
            if self._fatal is not None:
                raise translated(self._fatal, self._client.address.shown) from self._fatal
            if not self._left:
                return self._replies
            if self._trouble is not None:
                patience = patience or self._client.patience()
                await patience.rest(self._trouble)

    async def _place(self) -> dict[Wire, list[int]]:
        lines = self._client.lines()
        placed: dict[Wire, list[int]] = {}
        for index in self._left:
            key = key_of(self._requests[index])
            node = self._asking.get(index)
            wire = lines.ready(key) if node is None else await lines.at(node)
            if wire is None:
                wire = await lines.place(key)
            placed.setdefault(wire, []).append(index)
        return placed

    async def _go(self, placed: dict[Wire, list[int]]) -> None:
        self._left = []
        sent = [(wire, indices, wire.send(self._words(indices))) for wire, indices in placed.items()]
        self._client.note(sum(len(indices) for indices in placed.values()))
        for wire, indices, answered in sent:
            replies = await answered
            if isinstance(replies, Cut):
                self._client.lines().learn(replies, wire)
                self._trouble = replies
                self._left += indices
                continue
            asked = iter(replies)
            for index in indices:
                reply = next(asked)
                if self._asking.pop(index, None) is not None:
                    reply = next(asked)
                if isinstance(reply, Refused):
                    self._take_refusal(index, reply, wire)
                else:
                    self._replies[index] = reply
        self._left.sort()

    def _words(self, indices: Sequence[int]) -> list[tuple[Argument, ...]]:
        commands: list[tuple[Argument, ...]] = []
        for index in indices:
            if index in self._asking:
                commands.append(("ASKING",))
            commands.append(self._client.words(self._requests[index], in_full=index in self._in_full))
        return commands

    def _take_refusal(self, index: int, refused: Refused, wire: Wire) -> None:
        match verdict(refused):
            case Verdict.UNKNOWN_SCRIPT:
                self._in_full.add(index)
            case Verdict.MOVED:
                self._follow(index, refused, wire)
            case Verdict.LATER:
                self._trouble = refused
            case Verdict.ELSEWHERE:
                self._trouble = refused
                self._client.lines().learn(refused, wire)
            case Verdict.FATAL:
                self._fatal = self._fatal or refused
                return
        self._left.append(index)

    def _follow(self, index: int, refused: Refused, wire: Wire) -> None:
        """`MOVED 1234 host:port` or `ASK 1234 host:port`; asked once more at once, then with pauses."""
        host, _, port = refused.text.split()[2].rpartition(":")
        if refused.code == "ASK":
            self._asking[index] = Node(host or wire.name.rpartition(":")[0], int(port))
            return
        self._client.lines().learn(refused, wire)
        self._trouble = refused

    def _blame(self, trouble: Cut | Refused) -> None:
        if isinstance(trouble, Refused) and verdict(trouble) is Verdict.FATAL:
            self._fatal = trouble
