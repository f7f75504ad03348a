"""BullMQ for Python."""

import asyncio
import signal
from contextlib import asynccontextmanager

from bullmq import Queue, Worker

from peers import work

_queue = None


async def process(job, _):
    """Run a job."""
    number = job.data["n"]
    if job.name == "nap":
        await work.nap(number)
    else:
        {"empty": work.empty, "stamp": work.stamp}[job.name](number)


async def serve():
    """Work until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    worker = Worker("peers", process, {"connection": work.URL, "concurrency": work.SLOTS})
    await stopped.wait()
    await worker.close(force=True)


@asynccontextmanager
async def opened():
    """The queue."""
    global _queue
    _queue = Queue("peers", {"connection": work.URL})
    yield
    await _queue.close()


async def send(task, number):
    """One job."""
    await _queue.add(task, {"n": number}, {})


async def send_many(task, numbers):
    """Many jobs in one call."""
    await _queue.addBulk([{"name": task, "data": {"n": number}, "opts": {}} for number in numbers])
