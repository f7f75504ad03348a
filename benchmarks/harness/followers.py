"""A process of many followers: python -m harness.followers URL COUNT EVENTS; the last one never reads."""

import asyncio
import signal
import sys
import time

from aiojobs_engine import Engine
from aiojobs_engine.events.listeners.broadcast import Channel, Hub
from aiojobs_engine.events.shared import SharedStream

CHANNELS = [Channel("all")]
_PATIENCE = 60.0
_STEP = 0.05


async def follow(url: str, count: int, events: int) -> None:
    """Follow everything `count` times over, until SIGTERM and all but one have seen `events`, or a minute."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    seen = 0

    async def read(hub: Hub) -> None:
        nonlocal seen
        async with hub.connected(CHANNELS) as client:
            while not client.is_closed:
                frames = await client.next(_PATIENCE)
                seen += len(frames)

    async with Engine(url) as engine:
        hub = Hub(SharedStream(engine.store), engine.clock, engine.settings)
        async with hub.connected(CHANNELS), asyncio.TaskGroup() as group:
            readers = [group.create_task(read(hub)) for _ in range(count - 1)]
            await asyncio.sleep(_STEP)
            print("following", flush=True)
            await stopping.wait()
            end = time.monotonic() + _PATIENCE
            while seen < events * (count - 1) and time.monotonic() < end:  # noqa: ASYNC110 - tasks count
                await asyncio.sleep(_STEP)
            for reader in readers:
                reader.cancel()
    print(f"seen {seen} closed {hub.too_slow}", flush=True)


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
