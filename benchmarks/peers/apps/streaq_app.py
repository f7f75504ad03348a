"""streaq."""

from contextlib import asynccontextmanager

from streaq import Worker

from peers import work

worker = Worker(redis_url=work.URL, concurrency=work.SLOTS)


@worker.task(silent=True)
async def empty(n):
    """Do nothing."""
    work.empty(n)


@worker.task(silent=True)
async def nap(n):
    """Wait."""
    await work.nap(n)


@worker.task(silent=True)
async def stamp(n):
    """Write down when it began."""
    work.stamp(n)


_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """The connected worker, which only sends."""
    async with worker:
        yield


async def send(task, number):
    """One job."""
    await _BY_NAME[task].enqueue(number)


async def send_many(task, numbers):
    """Many jobs in one call."""
    await worker.enqueue_many([_BY_NAME[task].enqueue(number) for number in numbers])
