"""arq."""

import logging
from contextlib import asynccontextmanager

from arq import create_pool
from arq.connections import RedisSettings

from peers import work

_SETTINGS = RedisSettings(host="127.0.0.1", port=work.PORT)
_pool = None


async def empty(_, n):
    """Do nothing."""
    work.empty(n)


async def nap(_, n):
    """Wait."""
    await work.nap(n)


async def stamp(_, n):
    """Write down when it began."""
    work.stamp(n)


async def on_startup(_):
    """No line per job."""
    logging.getLogger("arq.worker").setLevel(logging.WARNING)


class WorkerSettings:
    """What `arq` runs."""

    functions = [empty, nap, stamp]
    redis_settings = _SETTINGS
    max_jobs = work.SLOTS
    on_startup = on_startup


@asynccontextmanager
async def opened():
    """An open pool."""
    global _pool
    _pool = await create_pool(_SETTINGS)
    yield
    await _pool.aclose()


async def send(task, number):
    """One job."""
    await _pool.enqueue_job(task, number)
