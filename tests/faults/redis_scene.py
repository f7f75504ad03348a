"""Stores on real servers that are hurt, short of patience so that no test has to wait long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.script import load
from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.house.tree import ROOT
from tests.servers.proxy import Proxy
from tests.servers.server import Server

LUA = ROOT / "src/aiojobs_engine/backends/redis/lua"
SHORT = "timeout=0.3&retry_for=3"

_T = TypeVar("_T")


@asynccontextmanager
async def staged(url: str, options: str = SHORT, *, clock: ManualClock | None = None) -> AsyncIterator[Stage]:
    """An open store on `url`; with a `clock` its leases and due times follow that one."""
    address = read_address(f"{url}{'&' if '?' in url else '?'}{options}")
    store = RedisBackend(address, clock=SystemClock(), stamps=clock)
    await store.open()
    try:
        yield Stage(store, clock or ManualClock(SystemClock().now()))
    finally:
        await store.close()


@asynccontextmanager
async def proxied(server: Server, options: str = SHORT) -> AsyncIterator[tuple[Stage, Proxy]]:
    """A store that reaches the server through a proxy; the server knows all scripts, so it refuses none."""
    for path in LUA.glob("*.lua"):
        server.run("SCRIPT", "LOAD", load(path.stem).source)
    async with Proxy(server.port) as proxy, staged(proxy.url, options) as stage:
        yield stage, proxy


@asynccontextmanager
async def meanwhile(act: Callable[[], Any], every: float) -> AsyncIterator[list[int]]:
    """Do something over and over, in a thread; the list has one number, how often it was done."""
    done = [0]
    is_over = asyncio.Event()

    async def repeat() -> None:
        while not is_over.is_set():
            await asyncio.to_thread(act)
            done[0] += 1
            await asyncio.sleep(every)

    task = asyncio.create_task(repeat())
    try:
        yield done
    finally:
        is_over.set()
        await task


async def persistent(call: Callable[[], Awaitable[_T]], most: int = 50) -> _T:
    """As a caller does who repeats when the store is away."""
    for _ in range(most):
        try:
            return await call()
        except BackendError:
            await asyncio.sleep(0.05)
    return await call()
