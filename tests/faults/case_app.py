"""The app of the fault cases: `python -m aiojobs_engine worker tests.faults.case_app:engine`.

The environment says what goes wrong: CASE_LOG is where handlers write what they do, CASE_STORE names a store
that dies or stops at a point, CASE_AFTER_HANDLER=kill ends the process between a handler and its finalize.
"""

import asyncio
import ctypes
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from aiojobs_engine import Discard, Engine, JobContext, Retry
from aiojobs_engine.backends import sqlite_path
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.ports.backend import Claim, Settlement, Watch
from aiojobs_engine.runtime.system_clock import SystemClock


def log(ctx: JobContext, what: str) -> None:
    """Add one line, whole, to what handlers did."""
    line = f"{ctx.id} {ctx.token} {os.getpid()} {what} {time.monotonic()}\n"
    descriptor = os.open(os.environ["CASE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def kill_itself(with_signal: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), with_signal)


class DiesHavingClaimed(SqliteBackend):
    """Is killed when a claim of 50 was stored, before any job starts."""

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        claims = await super().claim(watch, limit, lease, ahead)
        if len(claims) >= 50:
            kill_itself()
        return claims


class DiesHavingSettled(SqliteBackend):
    """Is killed when a finalize was stored, before its answer is read."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        answers = await super().settle(settlements)
        kill_itself()
        return answers


class StopsBeforeSettling(SqliteBackend):
    """Stands still, once, when a finalize is about to be sent."""

    has_stopped = False

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        if not self.has_stopped:
            self.has_stopped = True
            kill_itself(signal.SIGSTOP)
        return await super().settle(settlements)


STORES: dict[str, type[SqliteBackend]] = {
    kind.__name__: kind for kind in (DiesHavingClaimed, DiesHavingSettled, StopsBeforeSettling)
}


def _engine() -> Engine:
    kind = STORES.get(os.environ.get("CASE_STORE", ""))
    if kind is None:
        return Engine()
    path = sqlite_path(os.environ["AIOJOBS_URL"])
    return Engine(backend=kind(path, clock=SystemClock(), durability="normal"))


engine = _engine()


@engine.middleware
async def after_handler(ctx: JobContext, call_next: Callable[[], Awaitable[Any]]) -> Any:
    value = await call_next()
    if os.environ.get("CASE_AFTER_HANDLER") == "kill":
        kill_itself()
    return value


@engine.job(name="sleeps", retry=Retry.none())
async def sleeps(ctx: JobContext, seconds: float = 0.0, later: float = 0.0) -> int:
    """Take `seconds` in the first run, `later` in every other."""
    log(ctx, "begin")
    try:
        await asyncio.sleep(seconds if ctx.token == 1 else later)
    except asyncio.CancelledError:
        log(ctx, "cancelled")
        raise
    log(ctx, "end")
    return ctx.token


@engine.job(name="lingers", retry=Retry.none())
async def lingers(ctx: JobContext, seconds: float) -> None:
    """Take `seconds` from the moment when the worker is told to stop."""
    log(ctx, "begin")
    try:
        while not ctx.stopping:  # noqa: ASYNC110 - a fact of the worker
            await asyncio.sleep(0.01)
        log(ctx, "stopping")
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        log(ctx, "cancelled")
        raise
    log(ctx, "end")


@engine.job(name="swallows", retry=Retry.none())
async def swallows(ctx: JobContext) -> None:
    """Ignore every cancel."""
    log(ctx, "begin")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log(ctx, "cancelled")


@engine.job(name="blocks", retry=Retry.none())
async def blocks(ctx: JobContext, seconds: float) -> int:
    """Keep the loop for so long, in a call that lets other threads run."""
    log(ctx, "begin")
    time.sleep(seconds)
    log(ctx, "end")
    return ctx.token


@engine.job(name="spins", retry=Retry.none())
async def spins(ctx: JobContext) -> None:
    """Keep the loop for ever, computing."""
    log(ctx, "begin")
    while True:
        pass


@engine.job(name="hangs", retry=Retry.none())
def hangs(ctx: JobContext) -> None:
    """Keep a thread for ever."""
    log(ctx, "begin")
    threading.Event().wait()


@engine.job(name="poison")
async def poison(ctx: JobContext, how: str) -> None:
    """Take the process along."""
    log(ctx, "begin")
    if how == "exit":
        os._exit(1)
    if how == "segfault":
        ctypes.string_at(0)
    kill_itself()


@engine.job(name="deaf", run_in="process", timeout=1, retry=Retry.none())
def deaf(place: str) -> None:
    """Ignore SIGTERM in a process of its own, and go on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(place).write_text(str(os.getpid()), encoding="ascii")
    while True:
        time.sleep(1)


class Locked(Exception):
    """An exception that can't be pickled."""

    def __init__(self, text: str) -> None:
        self.lock = threading.Lock()
        super().__init__(text)


@engine.job(name="tomorrow", run_in="process")
def tomorrow(today: date) -> date:
    """Return something that plain JSON data is not."""
    return today + timedelta(days=1)


@engine.job(name="returns", run_in="process", retry=Retry.none())
def returns(what: str) -> object:
    """Return what can't be stored."""
    return {"object": object(), "tuple": (1, 2), "large": "x" * 1_000_000}[what]


@engine.job(name="raises", run_in="process", retry=Retry.none())
def raises(what: str) -> None:
    """Raise what can't leave the process, or what can."""
    if what == "locked":
        raise Locked("a lock inside")
    raise {"value": ValueError("no"), "exit": SystemExit(3), "discard": Discard("enough")}[what]
