"""huey."""

from contextlib import asynccontextmanager

from huey import RedisHuey

from peers import work

huey = RedisHuey("peers", host="127.0.0.1", port=work.PORT, max_connections=400)

empty = huey.task(name="empty")(work.empty)
nap = huey.task(name="nap")(work.doze)
stamp = huey.task(name="stamp")(work.stamp)
_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield


async def send(task, number):
    """One job; the call blocks."""
    _BY_NAME[task](number)
