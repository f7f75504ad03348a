"""docket."""

from contextlib import asynccontextmanager

from docket import Docket

from peers import work

_docket = Docket(name="peers", url=f"{work.URL}?max_connections=400")


async def empty(n: int) -> None:
    """Do nothing."""
    work.empty(n)


async def nap(n: int) -> None:
    """Wait."""
    await work.nap(n)


async def stamp(n: int) -> None:
    """Write down when it began."""
    work.stamp(n)


tasks = [empty, nap, stamp]
_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """The open docket."""
    async with _docket:
        for task in tasks:
            _docket.register(task)
        yield


async def send(task, number):
    """One job."""
    await _docket.add(_BY_NAME[task])(number)
