"""pgqueuer, on PostgreSQL."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from peers import work

_DSN = os.environ.get("PEER_POSTGRES", "")
_queries = None


async def serve():
    """Work until SIGTERM."""
    connection = await asyncpg.connect(_DSN)
    queuer = PgQueuer(AsyncpgDriver(connection))

    @queuer.entrypoint("empty")
    async def empty(job):
        work.empty(int(job.payload))

    @queuer.entrypoint("nap")
    async def nap(job):
        await work.nap(int(job.payload))

    @queuer.entrypoint("stamp")
    async def stamp(job):
        work.stamp(int(job.payload))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    await queuer.run(batch_size=50, max_concurrent_tasks=work.SLOTS)


async def install():
    """Make the tables."""
    connection = await asyncpg.connect(_DSN)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


@asynccontextmanager
async def opened():
    """An open connection."""
    global _queries
    connection = await asyncpg.connect(_DSN)
    _queries = Queries(AsyncpgDriver(connection))
    yield
    await connection.close()


async def send(task, number):
    """One job."""
    await _queries.enqueue(task, str(number).encode())


async def send_many(task, numbers):
    """Many jobs in one call."""
    count = len(numbers)
    await _queries.enqueue([task] * count, [str(number).encode() for number in numbers], [0] * count)
