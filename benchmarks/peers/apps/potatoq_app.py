"""potatoq."""

from contextlib import asynccontextmanager

from potatoq import Potatoq

from peers import work

app = Potatoq("peers", broker=work.URL)

empty = app.task(name="empty")(work.empty)
nap = app.task(name="nap")(work.doze)
stamp = app.task(name="stamp")(work.stamp)
_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield


async def send(task, number):
    """One job; the call blocks."""
    _BY_NAME[task].delay(number)
