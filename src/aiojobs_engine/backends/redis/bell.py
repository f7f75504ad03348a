"""A connection of its own that only wakes: it takes nothing, so all that it carries may be lost."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.errors import Cut, Refused, Verdict, translated, verdict
from aiojobs_engine.backends.redis.patience import Patience
from aiojobs_engine.backends.redis.wire import Wire
from aiojobs_engine.ports.clock import Clock, Wake


class Bell:
    """Rings for those who listen to channels on which scripts publish.

    A channel is left when something is published there and nobody listens, so a worker that is busy costs the
    servers and itself one message, and one that waits often does not subscribe anew each time.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        """Touch nothing before somebody listens."""
        self._client = client
        self._clock = clock
        self._listeners: dict[bytes, set[Wake]] = {}
        self._confirming: set[Wake] = set()
        self._asked: set[bytes] = set()
        self._heard: set[bytes] = set()
        self._pulses: dict[bytes, int] = {}
        self._letters: dict[bytes, bytes] = {}
        self._wire: Wire | None = None
        self._refused: Refused | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def listening(self, channels: Iterable[str]) -> AsyncGenerator[Wake]:
        """A wake that rings when something is published on one of `channels` from now on, and when in doubt.

        Look for what you wait for after entering, before waiting: what was published earlier rings nothing.

        Raises:
            BackendUnavailable: no server can be listened to.
        """
        names = [channel.encode() for channel in channels]
        wake = Wake(self._clock)
        for name in names:
            self._listeners.setdefault(name, set()).add(wake)
        try:
            await self._subscribe(names)
            yield wake
        finally:
            for name in names:
                self._listeners[name].discard(wake)

    def pulse(self, channel: bytes) -> int | None:
        """A number that changes when something is published there; None while nobody would notice."""
        return self._pulses.get(channel, 0) if channel in self._heard else None

    def letter(self, channel: str) -> bytes | None:
        """The last message on `channel` that said something, once; None when there was none."""
        return self._letters.pop(channel.encode(), None)

    def ring(self) -> None:
        """Wake all who listen."""
        for listeners in self._listeners.values():
            for wake in listeners:
                wake.set()

    async def close(self) -> None:
        """Let go; who listens is woken."""
        wire = self._wire
        if wire is not None:
            wire.close()
            await wire.wait_closed()

    async def _subscribe(self, names: list[bytes]) -> None:
        patience: Patience | None = None
        while True:
            try:
                wire = await self._reach()
                await self._confirmed(wire, names)
            except (Cut, Refused) as trouble:
                if isinstance(trouble, Refused) and verdict(trouble) is Verdict.FATAL:
                    raise translated(trouble, self._client.address.shown) from trouble
                patience = patience or self._client.patience()
                await patience.rest(trouble)
            else:
                return

    async def _reach(self) -> Wire:
        if self._wire is not None and self._wire.is_open:
            return self._wire
        async with self._lock:
            if self._wire is None or not self._wire.is_open:
                node = await self._client.lines().listened_to()
                self._wire = await self._client.connector.wire(node, self._take)
        return self._wire

    async def _confirmed(self, wire: Wire, names: list[bytes]) -> None:
        """Return when the server has said that it will ring."""
        if missing := [name for name in names if name not in self._asked]:
            self._asked.update(missing)
            wire.push("SUBSCRIBE", *missing)
        wake = Wake(self._clock)
        self._confirming.add(wake)
        try:
            while not self._heard.issuperset(names):
                if not await wake.wait(self._client.address.timeout):
                    wire.close(f"{wire.name} did not confirm a subscription")
                if not wire.is_open:
                    raise self._refused or Cut(f"{wire.name} was cut off while it was listened to")
        finally:
            self._confirming.discard(wake)

    def _take(self, pushed: Any) -> None:
        match pushed:
            case [b"message", bytes(channel), bytes(letter)]:
                if letter:
                    self._letters[channel] = letter
                self._ring(channel)
            case [b"subscribe", bytes(channel), _]:
                self._heard.add(channel)
                self._pulses[channel] = self._pulses.get(channel, 0) + 1
                self._note()
            case Refused():
                self._refused = pushed
                if self._wire is not None:
                    self._wire.close(str(pushed))
            case Cut():
                self._asked.clear()
                self._heard.clear()
                self._note()
                self.ring()
            case _:
                pass  # the confirmation that a channel was left

    def _note(self) -> None:
        for wake in self._confirming:
            wake.set()

    def _ring(self, channel: bytes) -> None:
        listeners = self._listeners.get(channel)
        self._pulses[channel] = self._pulses.get(channel, 0) + 1
        if listeners:
            for wake in listeners:
                wake.set()
        elif channel in self._heard and self._wire is not None:
            self._heard.discard(channel)
            self._asked.discard(channel)
            self._wire.push("UNSUBSCRIBE", channel)
