"""dramatiq."""

from contextlib import asynccontextmanager

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from peers import work

dramatiq.set_broker(RedisBroker(url=work.URL, max_connections=400))

empty = dramatiq.actor(work.empty)
nap = dramatiq.actor(work.doze, actor_name="nap")
stamp = dramatiq.actor(work.stamp)
_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield


async def send(task, number):
    """One job; the call blocks."""
    _BY_NAME[task].send(number)
