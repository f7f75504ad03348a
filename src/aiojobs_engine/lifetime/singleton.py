"""A lock that one holder among all processes has, with a lease, its renewal, and a token that fences."""

import asyncio
import secrets
import socket
from os import getpid
from types import TracebackType
from typing import Self

from aiojobs_engine.core.errors import BackendError, ConfigError, SingletonHeld, SingletonLost
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.lifetime.session import OpenSession, Session
from aiojobs_engine.ports.stream import Place
from aiojobs_engine.runtime.task_group import join, start

_PREFIX = "singleton/"
_RENEWALS = 3
_LOOKS = 4
_LONGEST_PAUSE = 1.0


class Singleton:
    """What `async with engine.singleton(name)` gives: one holder among all processes of the store.

    Its lease, by default `worker.lease` seconds, is renewed while it is held; when it is lost all the same,
    what runs inside is cancelled and `SingletonLost` raised. Each entry needs a new one.

    Attributes:
        name: what is locked.
        owner: who this holder is: host, process and a random part.
        token: rises by one each time the lock changes hands. Let what the lock protects refuse writes with a
            smaller token than the largest that it has seen: who stood still does not know that it lost.
    """

    def __init__(self, open_session: OpenSession, name: str, *, lease: float, timeout: float | None) -> None:
        """Not held yet.

        Raises:
            ConfigError: the name, the lease or the timeout can't be used.
        """
        self.name = checked_name(name, "the name of a singleton")
        if not lease > 0 or (timeout is not None and not timeout >= 0):
            raise ConfigError(
                f"a singleton's lease is above 0 and its timeout at least 0, got {lease}, {timeout}"
            )
        self.owner = f"{socket.gethostname()[:40]}.{getpid()}.{secrets.token_hex(4)}"
        self.token = 0
        self._open = open_session
        self._lease = lease
        self._timeout = timeout
        self._until = 0.0
        self._holder: asyncio.Task[object] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._is_lost = False

    async def __aenter__(self) -> Self:
        """Take the lock, or wait for it.

        Raises:
            SingletonHeld: somebody else held it all the time of the timeout.
            BackendUnavailable: the store can't be reached.
        """
        session = self._open()
        deadline = None if self._timeout is None else session.clock.monotonic() + self._timeout
        while (found := await self._taken(session)) is not None:
            left = self._lease if deadline is None else deadline - session.clock.monotonic()
            if left <= 0:
                raise SingletonHeld(self.name, found)
            await session.clock.sleep(min(left, self._lease / _LOOKS, _LONGEST_PAUSE))
        self._holder = asyncio.current_task()
        self._renewing = start(self._renew(session), f"aiojobs:singleton:{self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the lock.

        Raises:
            SingletonLost: it was lost while it was held; what ran under it was cancelled.
        """
        if self._renewing is not None:
            self._renewing.cancel()
            await join(self._renewing)
        if self._is_lost:
            if self._holder is not None:
                self._holder.uncancel()
            raise SingletonLost(self.name, self.owner) from error
        await self._held(self._open(), 0.0)

    async def _taken(self, session: Session) -> str | None:
        """None when the lock is held from now on, else who holds it."""
        sent_at = session.clock.monotonic()
        place = await self._held(session, self._lease)
        token, owner = _parsed(place.cursor)
        if not place.held:
            return owner
        mark = f"{token + 1} {self.owner}"
        place = await self._held(session, self._lease, mark)
        if not place.held:
            return _parsed(place.cursor)[1]
        self.token, self._until = token + 1, sent_at + self._lease
        return None

    async def _renew(self, session: Session) -> None:
        while True:
            await session.clock.sleep(self._lease / _RENEWALS)
            sent_at = session.clock.monotonic()
            try:
                place = await self._held(session, self._lease)
            except BackendError:
                is_held = sent_at < self._until
            else:
                is_held = place.held and _parsed(place.cursor) == (self.token, self.owner)
                self._until = sent_at + self._lease if is_held else self._until
            if not is_held:
                self._is_lost = True
                if self._holder is not None:
                    self._holder.cancel()
                return

    async def _held(self, session: Session, lease: float, mark: str | None = None) -> Place:
        return await session.store.hold_place(f"{_PREFIX}{self.name}", self.owner, lease, mark)


def _parsed(mark: str | None) -> tuple[int, str]:
    token, _, owner = (mark or "0 ").partition(" ")
    return int(token), owner
