"""RQ."""

from contextlib import asynccontextmanager

from redis import Redis
from rq import Queue

from peers import work

queue = Queue(connection=Redis(host="127.0.0.1", port=work.PORT))
_BY_NAME = {"empty": work.empty, "nap": work.doze, "stamp": work.stamp}


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield


async def send(task, number):
    """One job; the call blocks."""
    queue.enqueue(_BY_NAME[task], number)


async def send_many(task, numbers):
    """Many jobs in one call."""
    queue.enqueue_many([Queue.prepare_data(_BY_NAME[task], (number,)) for number in numbers])
