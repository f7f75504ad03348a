"""The Redis store under a clock that moves by hand, with other text in the place of some of its scripts."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chaos.history import StoredJob, read_history
from chaos.redis_eyes import RedisEyes

from aiojobs_engine import Engine
from aiojobs_engine.backends.redis import RedisBackend, home
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.script import Script, load, script_of
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from tests.cases.stores import UnderWay
from tests.servers.server import Server

_OPTIONS = "max_events=1000000"


class RedisGround:
    """A home of its own on a server."""

    def __init__(self, server: Server, prefix: str, folder: Path) -> None:
        self._under_way = UnderWay()
        self.clock = ManualClock(unseen=self._under_way.any_left)
        address = read_address(f"{server.url}?prefix={prefix}&{_OPTIONS}")
        self.store = RedisBackend(address, clock=SystemClock(), stamps=self.clock)
        self._call = self.store.client.call
        self.store.client.call = self._watched  # type: ignore[method-assign]
        self._eyes = RedisEyes(server.port, prefix)
        self._folder = folder

    async def jobs(self) -> tuple[dict[str, StoredJob], str]:
        """Read as the checker reads a dump; the engine that makes it leaves the store open."""
        engine = Engine(backend=self.store, config={"storage": {"path": str(self._folder)}})
        await engine.__aenter__()
        await self._eyes.dump(engine, self._folder)
        history = read_history(self._folder)
        return history.jobs, history.integrity

    async def _watched(self, *args: Any) -> Any:
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.watch(answered)
        try:
            return await self._call(*args)
        finally:
            answered.set_result(None)


@dataclass(frozen=True, slots=True)
class Patch:
    """A bug in a script: each first text stands there as the second one."""

    name: str
    script: str
    texts: Mapping[str, str]
    law: str

    def patched(self, name: str) -> Script:
        """The script `name`, with the bug where it belongs."""
        script = load(name)
        if name != self.script:
            return script
        source = script.source.decode()
        for text, other in self.texts.items():
            assert source.count(text) == 1, f"{name}.lua has {text!r} {source.count(text)} times"
            source = source.replace(text, other)
        return script_of(name, source.encode())


@contextmanager
def planted(patch: Patch) -> Iterator[None]:
    """Let stores of this process send the script with the bug."""
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(home, "load", patch.patched)
        yield


_FIRST_PAGE = """local all, seqs = redis.call('ZRANGE', LEASES, 0, -1), {}
table.sort(all)
for index = 1, math.min(4, #all) do
  if tonumber(redis.call('ZSCORE', LEASES, all[index])) <= elapsed then seqs[#seqs + 1] = all[index] end
end
local _ = {"""

PATCHES: Sequence[Patch] = (
    Patch(
        "no token compare",
        "settle",
        {
            "job[1] == PROCESSING and job[2] == token and not": "job[1] == PROCESSING and not",
            "if not whole or whole.token ~= token or token <= 0 then": "if not whole then",
        },
        "tokens",
    ),
    Patch(
        "attempts counted on lease and on end",
        "claim",
        {"  start_running(job)\n": "  job.attempts = job.attempts + 1\n  start_running(job)\n"},
        "attempts",
    ),
    Patch(
        "reaper without a paging cursor",
        "rescue",
        {
            "local seqs = redis.call('ZRANGEBYSCORE', LEASES, '-inf',": _FIRST_PAGE,
            "'LIMIT', 0, request[2])": "0}",
        },
        "leases",
    ),
    Patch(
        "renewal that ignores the token",
        "extend",
        {"job[1] == PROCESSING and job[2] == request[3][index]": "job[1] == PROCESSING"},
        "tokens",
    ),
    Patch(
        "event before the commit",
        "settle",
        {"token <= 0 then return 0 end": "token <= 0 then told[#told + 1] = settlement[6] return 0 end"},
        "doubled",
    ),
    Patch(
        "total of chunks counted on a retry",
        "record",
        {
            "ids[index] = child[1] end": "ids[index], added = child[1], added + child[7] end",
            "      added = added + children[index][7]\n": "",
        },
        "counters",
    ),
)
