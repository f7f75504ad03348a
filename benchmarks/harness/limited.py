"""The engine of `limits.py`: types under limits, whose handlers only wait. `harness.limited:engine`."""

import asyncio

from aiojobs_engine import Concurrency, Engine, JobRegistry, Rate

QUEUE_CAP, TYPE_CAP, KEY_CAP = 12, 7, 2
RATE, WINDOW = 100, 60

registry = JobRegistry()


@registry.job(name="typed", queue="capped", concurrency=TYPE_CAP)
async def typed(n: int) -> None:
    """Hold a slot of the type and one of the queue for a while."""
    await asyncio.sleep(0.005 + n % 7 / 500)


@registry.job(name="keyed", queue="capped", concurrency=Concurrency(KEY_CAP, by="key"))
async def keyed(key: str, n: int) -> None:
    """Hold a slot of the key and one of the queue for a while."""
    await asyncio.sleep(0.005 + (n + len(key)) % 7 / 500)


@registry.job(name="bucket", queue="rated", rate_limit=f"{RATE}/s")
async def bucket(n: int) -> None:
    """Take a token."""
    del n


@registry.job(name="window", queue="rated", rate_limit=Rate(f"{WINDOW}/s", sliding=True))
async def window(n: int) -> None:
    """Take a place in the window."""
    del n


@registry.job(name="turn", queue="fair")
async def turn(key: str, n: int) -> None:
    """Take a turn."""
    del key, n
    await asyncio.sleep(0.002)


engine = Engine(
    registry=registry,
    config={"queues": {"capped": {"concurrency": QUEUE_CAP}, "fair": {"fair_by": "key"}}},
)
