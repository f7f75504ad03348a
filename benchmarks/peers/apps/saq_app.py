"""SAQ."""

from contextlib import asynccontextmanager

from saq import Queue

from peers import work

queue = Queue.from_url(work.URL)


async def empty(_, *, n):
    """Do nothing."""
    work.empty(n)


async def nap(_, *, n):
    """Wait."""
    await work.nap(n)


async def stamp(_, *, n):
    """Write down when it began."""
    work.stamp(n)


settings = {"queue": queue, "functions": [empty, nap, stamp], "concurrency": work.SLOTS}


@asynccontextmanager
async def opened():
    """The connected queue."""
    await queue.connect()
    yield
    await queue.disconnect()


async def send(task, number):
    """One job."""
    await queue.enqueue(task, n=number)
