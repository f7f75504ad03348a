"""What batched scripts, redis-py, hiredis and msgspec can do without an engine around them: the ceiling.

A job has a fenced lease, a kept record with its result, two events and a task of its own; nothing else. Two
slices are under way at once, so that claims, runs and ends overlap.
"""

import asyncio
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from peers import work

_SLICE = 100
_redis = Redis(port=work.PORT, protocol=2, retry=Retry(NoBackoff(), 0))
_LUA = Path(__file__).parents[1] / "lua"
_fill, _take, _finish = (
    _redis.register_script((_LUA / f"{name}.lua").read_text()) for name in ("fill", "take", "finish")
)


class _Job(msgspec.Struct):
    task: str
    n: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Job).decode


async def _empty(n):
    work.empty(n)
    return n


async def _stamp(n):
    work.stamp(n)
    return n


_TASKS = {"empty": _empty, "nap": work.nap, "stamp": _stamp}


async def _run(body):
    job = _decode(body)
    return _encode(await _TASKS[job.task](job.n))


async def _loop(stopped):
    while not stopped.is_set():
        taken = await _take(["queue", "bodies", "records", "leases", "events"], [_SLICE])
        if not taken:
            await asyncio.sleep(0.001)
            continue
        ids, bodies = taken
        results = await asyncio.gather(*[asyncio.create_task(_run(body)) for body in bodies])
        pairs = [word for pair in zip(ids, results, strict=True) for word in pair]
        await _finish(["records", "leases", "finished", "events"], pairs)


async def serve():
    """Work until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await asyncio.gather(_loop(stopped), _loop(stopped))
    await _redis.aclose()


@asynccontextmanager
async def opened():
    """The client."""
    yield
    await _redis.aclose()


async def send(task, number):
    """One job."""
    await _fill(["queue", "bodies"], [number, _encode(_Job(task, number))])


async def send_many(task, numbers):
    """Many jobs in one script."""
    await _fill(["queue", "bodies"], [word for n in numbers for word in (n, _encode(_Job(task, n)))])
