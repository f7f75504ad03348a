"""A store under fire: load, a nemesis and readers at once, until all is quiet again."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

import anyio
from harness.process import Process

from aiojobs_engine import Engine
from chaos.app import registry
from chaos.eyes import Eyes
from chaos.nemesis import Nemesis, Trouble, plan
from chaos.producer import Producer
from chaos.script import SLOTS, Options

_QUIET_SECONDS = 120.0
_NO_TROUBLE = Trouble({})


def engine_of(folder: Path, url: str) -> Engine:
    """An engine for a producer."""
    return Engine(url, registry=registry, config={"storage": {"path": str(folder / "files")}})


async def lay_siege(
    folder: Path,
    url: str,
    options: Options,
    eyes: Eyes,
    engines: Sequence[Engine],
    trouble: Trouble = _NO_TROUBLE,
) -> bool:
    """Do all deeds while a producer on each engine dispatches; whether all was quiet in the end."""
    rng = Random(options.seed)
    (folder / "logs").mkdir()
    names = sorted(trouble.deeds)
    others = [names[number % len(names)] for number in range(options.troubles)]
    start = partial(_worker, folder, url, options)
    nemesis = Nemesis(folder, rng, start, eyes, count=options.workers, lease=options.lease, server=trouble)
    producers = [
        Producer(folder, Random(options.seed + number), engine, eyes)
        for number, engine in enumerate(engines, 1)
    ]
    deeds = plan(rng, kills=options.kills, stops=options.stops, drains=options.drains, others=others)
    try:
        async with anyio.create_task_group() as load:
            for producer in producers:
                load.start_soon(producer.dispatch)
                load.start_soon(producer.import_rows)
                load.start_soon(producer.read)
            await nemesis.run(deeds, options.every)
            for producer in producers:
                producer.is_stopping = True
            is_quiet = await producers[0].until_quiet(_QUIET_SECONDS + 2 * options.lease)
            load.cancel_scope.cancel()
        nemesis.end()
    finally:
        nemesis.close()
        for producer in producers:
            producer.close()
    return is_quiet


async def check_sound(engine: Engine) -> None:
    """Look through the whole store.

    Raises:
        AssertionError: something in it doesn't belong together.
    """
    errors = [str(found) for found in (await engine.diagnose()).findings if found.severity == "error"]
    assert not errors, errors


def _worker(folder: Path, url: str, options: Options) -> Process:
    """A worker of the jobs under fire."""
    command = [sys.executable, "-m", "aiojobs_engine", "worker", "chaos.app:engine", "-c", str(SLOTS)]
    environment = {
        "AIOJOBS_URL": url,
        "AIOJOBS_STORAGE__PATH": str(folder / "files"),
        "AIOJOBS_WORKER__LEASE": str(options.lease),
        "CHAOS_FOLDER": str(folder),
    }
    return Process(command, environment, folder / "logs" / "workers.log")
