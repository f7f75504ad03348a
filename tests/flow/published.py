"""Waiting for what a worker does when it starts."""

import asyncio

from anyio.lowlevel import checkpoint

from aiojobs_engine import Engine


async def until_published(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while not await engine.store.types():
            await checkpoint()
