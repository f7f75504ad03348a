"""The ways to the homes: to one, to those that some elements belong to, to all."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.home import Home
from aiojobs_engine.backends.redis.keys import PLACE_BITS
from aiojobs_engine.backends.redis.script import Command
from aiojobs_engine.backends.redis.spread.placement import Placement
from aiojobs_engine.backends.redis.store import HomeStore
from aiojobs_engine.ports.backend import Lease
from aiojobs_engine.ports.clock import Clock

_REMEMBERED = 50_000
_MADE = re.compile(r"[0-9a-f]{27}")

_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")


class Routes:
    """What all sides of the store share."""

    def __init__(self, homes: Sequence[Home], placement: Placement, *, clock: Clock) -> None:
        """Lead to `homes`, by number; let `clock` measure how long calls wait."""
        self.client: Client = homes[0].client
        self._bell = homes[0].bell
        self._homes = homes
        self._stores = [HomeStore(home, clock=clock) for home in homes]
        self._placement = placement
        self._clock = clock
        self._remembered: dict[str, int] = {}
        self._turn = 0
        self._beats: dict[str, float] = {}

    @property
    def _first(self) -> HomeStore:
        """The home of what belongs to the store as a whole."""
        return self._stores[0]

    def _in_turn(self) -> list[int]:
        """All homes, another one first each time."""
        number = len(self._stores)
        self._turn = (self._turn + 1) % number
        return [(self._turn + step) % number for step in range(number)]

    def _note_changes(self) -> None:
        """Note that this process gave every home something to claim and stored no event that tells so."""
        for home in self._homes:
            home.changes += 1

    def _home_of_lease(self, lease: Lease) -> int:
        return min(lease.ref >> PLACE_BITS, len(self._stores) - 1)

    async def _all(self, ask: Callable[[HomeStore], Awaitable[_Answer]]) -> list[_Answer]:
        """The answer of every home, asked together."""
        return await together(ask(store) for store in self._stores)

    async def _split(
        self,
        homes: Sequence[int],
        given: Sequence[_Given],
        ask: Callable[[HomeStore, Sequence[_Given]], Awaitable[Sequence[_Answer]]],
    ) -> list[_Answer]:
        """The answers to elements, each asked of its home, in the order of the elements."""
        places: dict[int, list[int]] = {}
        for index, home in enumerate(homes):
            places.setdefault(home, []).append(index)
        if len(places) == 1:
            return list(await ask(self._stores[homes[0]], given))
        parts = [(self._stores[home], [given[index] for index in own]) for home, own in places.items()]
        answers = await together(ask(store, part) for store, part in parts)
        merged: dict[int, _Answer] = {}
        for own, told in zip(places.values(), answers, strict=True):
            merged.update(zip(own, told, strict=True))
        return [merged[index] for index in range(len(given))]

    async def _located(self, ids: Iterable[str]) -> dict[str, int]:
        """The homes of the jobs that are stored, asked of all homes together."""
        return await self._found(list(dict.fromkeys(ids)), "ZMSCORE", "jobs")

    async def _located_crons(self, names: Iterable[str]) -> dict[str, int]:
        """The homes of the cron entries that are stored."""
        return await self._found(list(dict.fromkeys(names)), "HMGET", "crons")

    async def _found(self, names: Sequence[str], command: str, suffix: str) -> dict[str, int]:
        if not names:
            return {}
        keys = [store.key_of(suffix) for store in self._stores]
        replies = await self.client.send([Command((command, key, *names), key) for key in keys])
        return {
            name: home
            for home, told in enumerate(replies)
            for name, value in zip(names, told, strict=True)
            if value is not None
        }

    async def _each(
        self,
        ids: Sequence[str],
        missing: _Answer,
        ask: Callable[[HomeStore, Sequence[str]], Awaitable[Sequence[_Answer]]],
    ) -> list[_Answer]:
        """The answers to ids, each asked of the home that has the job; `missing` for unknown ones."""
        homes = await self._located(ids)
        known = [job_id for job_id in ids if job_id in homes]
        if not known:
            return [missing] * len(ids)
        answers = iter(await self._split([homes[job_id] for job_id in known], known, ask))
        return [next(answers) if job_id in homes else missing for job_id in ids]

    async def _seen(
        self, ids: Sequence[str], ask: Callable[[HomeStore, Sequence[str]], Awaitable[Sequence[Any]]]
    ) -> list[Any]:
        """What a read answers for ids: of the home where each was last, else of that which knows it."""
        found: dict[str, Any] = {}
        known = [job_id for job_id in dict.fromkeys(ids) if job_id in self._remembered]
        if known:
            homes = [self._remembered[job_id] for job_id in known]
            found = dict(zip(known, await self._split(homes, known, ask), strict=True))
        left = [job_id for job_id in dict.fromkeys(ids) if found.get(job_id) is None]
        if left:
            for home, answers in enumerate(await self._all(lambda store: ask(store, left))):
                told = {
                    job_id: answer for job_id, answer in zip(left, answers, strict=True) if answer is not None
                }
                found.update(told)
                self._remember(dict.fromkeys(told, home))
        return [found.get(job_id) for job_id in ids]

    def _remember(self, homes: Mapping[str, int]) -> None:
        """Note where jobs lie, for the next who reads them; never what a write relies on."""
        if len(self._remembered) > _REMEMBERED:
            self._remembered.clear()
        self._remembered.update(homes)


def is_made(job_id: str) -> bool:
    """Whether an id looks like one that the engine made, which no other job has."""
    return len(job_id) == 27 and _MADE.fullmatch(job_id) is not None  # noqa: PLR2004 - its digits


async def together(calls: Iterable[Awaitable[_Answer]]) -> list[_Answer]:
    """The answers of calls that go on at once; when one fails, all others have ended before it is raised."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
