"""`worker`: run jobs, in this process or in several under a supervisor."""

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, cast

import click
import msgspec

from aiojobs_engine.cli.opening import engine_with_jobs
from aiojobs_engine.cli.output import note
from aiojobs_engine.cli.telling import LogFormat, adorn_handlers, begin_logging, told
from aiojobs_engine.core.masking import redacted
from aiojobs_engine.core.wording import counted
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.supervisor import Lifeline
from aiojobs_engine.runtime.worker import Worker
from aiojobs_engine.settings import load_settings

BLOCKED = 70
"""The exit code of a process that ends because a job blocks its loop past the job's timeout."""

_SHOWN = 8
_YOUNG_OBJECTS = 50_000
"""Between two looks of the garbage collector; its 700 would walk the jobs under way 70 times as often."""
_SWITCH_SECONDS = 0.0001
"""How long threads wait for the interpreter: with 5 ms a store's thread stands still beside handlers."""
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line said; None and empty leave it to the settings."""

    target: str | None
    queues: tuple[str, ...]
    concurrency: int | None
    processes: int | None
    burst: bool
    reload: bool
    no_cron: bool
    drain_timeout: float | None
    metrics_port: int | None
    log_format: LogFormat | None
    verbose: int
    quiet: bool
    place: int

    def words(self) -> list[str]:
        """The command line of one process without a supervisor."""
        words = [self.target] if self.target else []
        words += [word for queue in self.queues for word in ("--queue", queue)]
        words += ["--concurrency", str(self.concurrency)] if self.concurrency is not None else []
        words += ["--drain-timeout", str(self.drain_timeout)] if self.drain_timeout is not None else []
        words += ["--metrics-port", str(self.metrics_port)] if self.metrics_port is not None else []
        words += ["--log-format", self.log_format] if self.log_format is not None else []
        words += [f"--{name}" for name, is_on in (("burst", self.burst), ("no-cron", self.no_cron)) if is_on]
        return words + ["-v"] * self.verbose


@click.command("worker")
@click.argument("target", required=False)
@click.option("--queue", "-q", "queues", multiple=True, help="Only this queue; may be repeated.")
@click.option("--concurrency", "-c", type=click.IntRange(min=1), help="Jobs at once in a process.")
@click.option(
    "--processes",
    "-p",
    type=click.IntRange(min=1),
    help="Processes under a supervisor, which replaces those that die; without -p there is none.",
)
@click.option("--burst", is_flag=True, help="End when nothing is left to do.")
@click.option("--reload", is_flag=True, help="Start anew when a .py file here changes.")
@click.option("--no-cron", is_flag=True, help="Fire no cron entries.")
@click.option(
    "--drain-timeout", type=click.FloatRange(min=0), metavar="S", help="Seconds for running jobs at shutdown."
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Show figures to Prometheus there; with -p each further process takes the next port.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How logs are written.")
@click.option("--verbose", "-v", count=True, help="Log what happens to each job; twice for more.")
@click.option("--lifeline", type=int, hidden=True)
@click.option("--quiet", is_flag=True, hidden=True)
@click.option("--place", type=int, default=0, hidden=True)
def worker_command(lifeline: int | None, **given: object) -> int:
    """Run jobs of TARGET.

    SIGTERM and SIGINT drain: running jobs get the drain timeout, then they go back to the queue with no
    attempt counted. A second signal hands them back at once.
    """
    wish = msgspec.convert(given, Wish)
    settings = load_settings()
    begin_logging(
        _LEVELS[min(wish.verbose, len(_LEVELS) - 1)], wish.log_format or settings.telemetry.log_format
    )
    adorn_handlers(settings.masker)
    if lifeline is not None:
        return _on_a_loop(lambda: run_worker(wish, Lifeline(lifeline)))
    if wish.reload or wish.processes is not None or settings.worker.processes > 1:
        from aiojobs_engine.cli.supervised import run_supervised

        return asyncio.run(run_supervised(wish))
    return _on_a_loop(lambda: run_worker(wish, None))


async def run_worker(wish: Wish, lifeline: Lifeline | None) -> int:
    """Run one worker in this process until it is told to stop; leave the process if something won't end."""
    engine = await engine_with_jobs(wish.target)
    adorn_handlers(engine.settings.masker)  # those that the program has set up by now, too
    if wish.drain_timeout is not None:
        patient = msgspec.structs.replace(engine.settings.worker, drain_timeout=wish.drain_timeout)
        engine.settings = msgspec.structs.replace(engine.settings, worker=patient)
    with told(engine, wish.metrics_port, wish.place):
        has_leftovers = await _run(engine, wish, lifeline)
    if has_leftovers:
        _leave(0)
    return 0


async def _run(engine: Engine, wish: Wish, lifeline: Lifeline | None) -> bool:
    """Whether something that won't end is left."""
    async with engine:
        worker = engine.worker(
            queues=wish.queues or None,
            concurrency=wish.concurrency,
            burst=wish.burst,
            cron=False if wish.no_cron else None,
            on_entered=lifeline.ready if lifeline is not None else None,
            leave=partial(_leave, BLOCKED),
        )
        listen_to_signals(worker.stop, worker.stop_now)
        if lifeline is not None:
            lifeline.listen(worker.stop, worker.stop_now)
        if not wish.quiet:
            note(banner(engine, worker, wish))
            if engine.settings.url.startswith("memory:"):
                note("memory:// is this process alone: only its own handlers can dispatch jobs to it")
        started_at = engine.clock.monotonic()
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: no collection has to walk it again
        gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
        await worker.run()
        ran = engine.clock.monotonic() - started_at
    if lifeline is not None:
        lifeline.done(worker.settled)
    else:
        note(farewell(worker.settled, ran))
    return worker.has_leftovers


def listen_to_signals(stop: Callable[[], object], stop_now: Callable[[], object]) -> None:
    """Call `stop` at the first SIGTERM or SIGINT, `stop_now` at every further one."""
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def hear(number: int) -> None:
        heard.append(number)
        (stop if len(heard) == 1 else stop_now)()

    for each in _SIGNALS:
        loop.add_signal_handler(each, hear, each)


def banner(engine: Engine, worker: Worker, wish: Wish) -> str:
    """Two lines that say what starts here."""
    process = (
        f"pid {os.getpid()}" if wish.processes is None else f"pid {os.getppid()}, processes {wish.processes}"
    )
    types = list(engine.registry.names())
    shown = ", ".join(types[:_SHOWN]) + (f" and {len(types) - _SHOWN} more" if len(types) > _SHOWN else "")
    url = redacted(engine.settings.url)
    return (
        f"aiojobs-engine {version('aiojobs-engine')}  {url}  {process}\n"
        f"queues {', '.join(worker.queues)}  concurrency {worker.slots}  types {shown}"
    )


def farewell(settled: int, seconds: float, died: int = 0) -> str:
    """The last line; processes that died took their counts with them."""
    runs = counted(settled, "run")
    if died:
        runs += f" and more, {counted(died, 'process')} having died,"
    return f"stopped after {runs} in {seconds:,.1f} s"


def _on_a_loop(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """That of uvloop where it is installed."""
    try:
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return None
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


def _leave(code: int) -> None:
    """End at once: a thread or a handler that ignores every cancel would keep the process."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
