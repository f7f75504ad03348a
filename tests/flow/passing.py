"""A clock that goes on by itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiojobs_engine.testing import ManualClock


@asynccontextmanager
async def passing(clock: ManualClock, step: float) -> AsyncGenerator[None]:
    async def pass_on() -> None:
        while True:
            await clock.rest()
            await clock.advance(step)

    task = asyncio.get_running_loop().create_task(pass_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
