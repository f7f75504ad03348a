"""aiojobs_engine itself, with default settings."""

from contextlib import asynccontextmanager

from aiojobs_engine import Engine, JobRegistry
from peers import work

registry = JobRegistry()


@registry.job(name="empty")
async def empty(n: int) -> None:
    """Do nothing."""
    work.empty(n)


@registry.job(name="nap")
async def nap(n: int) -> None:
    """Wait."""
    await work.nap(n)


@registry.job(name="stamp")
async def stamp(n: int) -> None:
    """Write down when it began."""
    work.stamp(n)


engine = Engine(f"{work.URL}?prefix=peers", registry=registry)
_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """The open engine."""
    async with engine:
        yield


async def send(task, number):
    """One job."""
    await engine.dispatch(_BY_NAME[task], n=number)


async def send_many(task, numbers):
    """Many jobs in one call."""
    await engine.dispatch_many(_BY_NAME[task].job(n=number) for number in numbers)
