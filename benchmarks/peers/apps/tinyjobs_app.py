"""tinyjobs."""

from contextlib import asynccontextmanager

from tinyjobs import TinyJobs

from peers import work

app = TinyJobs(work.URL)


@app.task
async def empty(n: int) -> None:
    """Do nothing."""
    work.empty(n)


@app.task
async def nap(n: int) -> None:
    """Wait."""
    await work.nap(n)


@app.task
async def stamp(n: int) -> None:
    """Write down when it began."""
    work.stamp(n)


_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield


async def send(task, number):
    """One job; the call blocks."""
    job_type = _BY_NAME[task]
    if hasattr(job_type, "aenqueue"):
        await job_type.aenqueue(number)
    else:
        job_type.enqueue(number)
