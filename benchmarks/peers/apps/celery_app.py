"""Celery."""

from contextlib import asynccontextmanager

from celery import Celery

from peers import work

app = Celery("peers", broker=work.URL)
app.conf.task_ignore_result = True

empty = app.task(work.empty, name="empty")
nap = app.task(work.doze, name="nap")
stamp = app.task(work.stamp, name="stamp")
_BY_NAME = {"empty": empty, "nap": nap, "stamp": stamp}


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield


async def send(task, number):
    """One job; the call blocks."""
    _BY_NAME[task].delay(number)
