"""taskiq, with its list broker or, as TASKIQ_BROKER says, its stream broker."""

import os
from contextlib import asynccontextmanager

from taskiq_redis import ListQueueBroker, RedisStreamBroker

from peers import work

if os.environ.get("TASKIQ_BROKER") == "stream":
    broker = RedisStreamBroker(work.URL)
else:
    broker = ListQueueBroker(work.URL, socket_timeout=None)  # with a timeout its worker dies when idle


@broker.task
async def empty(n):
    """Do nothing."""
    work.empty(n)


@broker.task
async def nap(n):
    """Wait."""
    await work.nap(n)


@broker.task
async def stamp(n):
    """Write down when it began."""
    work.stamp(n)


_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """The started broker."""
    await broker.startup()
    yield
    await broker.shutdown()


async def send(task, number):
    """One job."""
    await _BY_NAME[task].kiq(number)
