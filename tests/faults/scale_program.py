"""What many or large jobs cost a process: memory, and the longest time that its event loop stands still.

Usage: python scale_program.py seed|backlog|due|large FOLDER

It prints the figures as JSON.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiojobs_engine import Engine
from aiojobs_engine.core.instant import moment

BACKLOG = 100_000
DUE = 10_000
LARGE = 10_000_000
ROUNDS = 3
TICK = 0.002
CONCURRENCY = 10


def made(folder: Path, **config: Any) -> Engine:
    """The engine with its job."""
    worker = {"concurrency": CONCURRENCY}
    engine = Engine(f"sqlite:///{folder / 'jobs.db'}", config={"worker": worker, **config})

    @engine.job(name="echo")
    async def echo(value: Any) -> Any:
        return value

    return engine


def resident() -> int:
    """Bytes of memory in use."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


class Lag:
    """The longest time between two turns of a loop that wants one every 2 ms.

    Time in which this process had no processor is not its own: no gap counts more than the time that the
    process computed meanwhile.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self._measure())
        await asyncio.sleep(0.05)
        self.longest = 0.0
        yield
        task.cancel()

    async def _measure(self) -> None:
        seen, computed = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(TICK)
            now, spent = time.perf_counter(), time.process_time()
            self.longest = max(self.longest, min(now - seen - TICK, spent - computed))
            seen, computed = now, spent


async def seed(folder: Path, count: int, **options: Any) -> None:
    """Store jobs."""
    engine = made(folder)
    async with engine:
        await engine.dispatch_many(
            engine.registry.get("echo").options(**options).job(value=number) for number in range(count)
        )


async def backlog(folder: Path) -> dict[str, Any]:
    """A worker's memory when idle, and amid a backlog, and how many jobs it holds at once."""
    engine = made(folder)
    async with engine.running():
        handle = await engine.dispatch("echo", value=0)
        await handle.result(timeout=10)
    before = resident()
    seeding = await asyncio.create_subprocess_exec(sys.executable, __file__, "seed", str(folder))
    assert await seeding.wait() == 0
    held, grown = 0, 0
    async with engine:
        worker = engine.worker()
        working = asyncio.ensure_future(worker.run())
        while worker.settled < BACKLOG // 10:
            held = max(held, len(worker._slots.runs) + len(worker._slots.ahead))
            await asyncio.sleep(TICK)
        grown = resident() - before
        worker.stop()
        await working
        left = (await engine.queues.stats("default")).counts
    return {"grown": grown, "held": held, "left": dict(left)}


async def due(folder: Path) -> dict[str, Any]:
    """How long the loop stands still while jobs that are due in the same millisecond run."""
    engine = made(folder)
    start = engine.clock.now() + 1_000
    await seed(folder, DUE, at=moment(start))
    lag = Lag()
    async with engine:
        await asyncio.sleep(max(0.0, (start - engine.clock.now()) / 1000))
        async with lag.measured():
            await engine.worker(burst=True).run()
        counts = (await engine.queues.stats("default")).counts
    return {"lag": lag.longest, "counts": dict(counts)}


async def large(folder: Path) -> dict[str, Any]:
    """How long the loop stands still when a payload of 10 MB goes through, undisturbed by other processes."""
    limits = {"payload_bytes": 2 * LARGE, "result_bytes": 2 * LARGE}
    engine = made(folder, limits=limits)
    value = "x" * LARGE
    lags: list[float] = []
    is_same = True
    async with engine.running():
        for _ in range(ROUNDS):
            lag = Lag()
            async with lag.measured():
                handle = await engine.dispatch("echo", value=value)
                is_same &= await handle.result(timeout=20) == value
            lags.append(lag.longest)
    return {"lag": min(lags), "same": is_same}


if __name__ == "__main__":
    if sys.argv[1] == "seed":
        asyncio.run(seed(Path(sys.argv[2]), BACKLOG))
        sys.exit()
    measure = {"backlog": backlog, "due": due, "large": large}[sys.argv[1]]
    sys.stdout.write(json.dumps(asyncio.run(measure(Path(sys.argv[2])))))
