"""Chaos in one process and in virtual time: real workers on one store, struck by a seeded plan.

A process is killed when its timers and calls come to nothing, stopped when they wait. What comes of it is a
history for the same checker that judges real processes.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos.history import FINAL, History

from aiojobs_engine import Engine
from aiojobs_engine.core.errors import BackendClosed
from aiojobs_engine.core.instant import Instant, later, moment
from aiojobs_engine.core.schedule import fire_id
from aiojobs_engine.runtime import worker as worker_module
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.runtime.worker import Worker
from tests.faults.planted.gate import LOSE, Client, Gate, Notebook
from tests.faults.planted.ground import Ground, told
from tests.faults.planted.load import CRON, Diary, Producer, declare
from tests.faults.planted.process import Process

LEASE = 4.0
SECONDS = 40.0
WORKERS = 4
SLOTS = 4
LATEST_RESCUE = 2.5
CRON_MS = 4000
_QUIET = 40.0
_FIRST_PID = 100
KILL, STOP, DRAIN, SKEW, TRAP = "kill", "stop", "drain", "skew", "trap"
_TRAPS = (
    ("before settle", STOP),
    ("before settle", STOP),
    ("before settle", STOP),
    ("after settle", KILL),
    ("after settle", LOSE),
    ("after record", KILL),
    ("after record", LOSE),
    ("after claim", STOP),
    ("after claim", LOSE),
    ("after enqueue", LOSE),
    ("before enqueue", LOSE),
    ("before extend", STOP),
    ("after rescue", KILL),
    ("before fire", STOP),
    ("after fire", LOSE),
)
_DEEDS = (*[KILL] * 4, *[STOP] * 2, DRAIN, *[SKEW] * 4, *[TRAP] * len(_TRAPS))


@dataclass(slots=True)
class Running:
    """A worker in its process."""

    process: Process
    worker: Worker
    task: asyncio.Task[None]
    is_draining: bool = False

    @property
    def runs(self) -> bool:
        return self.process.runs and not self.is_draining


class Simulation:
    """One run, told by its seed."""

    def __init__(self, seed: int, folder: Path, ground: Ground, client: Client) -> None:
        self.clock = clock = ground.clock
        self._ground = ground
        self._store = ground.store
        self.diary = Diary(clock)
        self.notebook = Notebook(clock)
        self._rng = Random(seed)
        self._folder = folder
        self._client = client
        self._deeds: list[dict[str, Any]] = []
        self._traps: list[tuple[str, str]] = []
        self._all: list[Running] = []
        self._engines: list[Engine] = []
        self._pids = iter(range(_FIRST_PID, 10_000))
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> History:
        """Load, strikes, quiet; what is left."""
        await self._store.open()
        for _ in range(WORKERS):
            await self._start()
        engine = await self._opened(Process(1, self.clock))
        producer = Producer(engine, self._rng, self.diary, self.clock)
        begin = self.clock.now()
        end = later(begin, SECONDS)
        await self._finished(self._add_cron(engine, moment(end)))
        load = [self._go(each) for each in (producer.work(), producer.imports(), producer.read())]
        await self._finished(self._strikes())
        producer.is_stopping = True
        self._traps.clear()
        for task in load:
            await self._until_done(task)
        await self._until_quiet()
        await self.clock.advance(LEASE + 2 * LATEST_RESCUE)
        history = await self._history(begin, end)
        await self._close()
        await self._store.close()
        return history

    async def _add_cron(self, engine: Engine, end: datetime) -> None:
        tick: Any = engine.registry.types["tick"]
        options: Any = {"missed": "all", "missed_within": 3600, "overlap": "queue", "end": end}
        await engine.cron.add(CRON, f"*/{CRON_MS // 1000} * * * * *", tick, **options)

    async def _opened(self, process: Process) -> Engine:
        gate = Gate(process, self._store, self.notebook, self._strike, lambda: self._rng.uniform(0.001, 0.02))
        config = {
            "storage": {"path": str(self._folder)},
            "chunking": {"threshold": 0},
            "worker": {"lease": LEASE, "rescue_interval": LEASE / 8, "drain_timeout": 2.0},
        }
        registry = declare(process, self.diary)
        engine = Engine(backend=self._client(gate), registry=registry, clock=process.clock, config=config)
        self._engines.append(engine)
        await engine.__aenter__()
        return engine

    async def _start(self) -> None:
        process = Process(next(self._pids), self.clock)
        engine = await self._opened(process)
        with pytest.MonkeyPatch.context() as patching:
            patching.setattr(worker_module, "Random", lambda: Random(process.pid))
            worker = engine.worker(concurrency=SLOTS)
        self._all.append(Running(process, worker, self._go(worker.run())))

    def _go(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = start(coroutine, "simulated")
        self._tasks.append(task)
        return task

    async def _finished(self, coroutine: Coroutine[Any, Any, None]) -> None:
        await self._until_done(self._go(coroutine))

    async def _until_done(self, task: asyncio.Task[Any]) -> None:
        while not task.done():
            await self.clock.advance(0.1)
        task.result()

    async def _strikes(self) -> None:
        rng = self._rng
        traps = rng.sample(_TRAPS, len(_TRAPS))
        for deed in rng.sample(_DEEDS, len(_DEEDS)):
            await self.clock.sleep(SECONDS / len(_DEEDS) * rng.uniform(0.5, 1.5))
            victim = rng.choice([each for each in self._all if each.runs])
            if deed == TRAP:
                self._traps.append(traps.pop())
            elif deed == SKEW:
                victim.process.skew = rng.choice([-1, 1]) * rng.randrange(round(LEASE * 2000))
            else:
                self._do(victim, deed)

    def _strike(self, process: Process, at: str) -> str | None:
        trap = next((each for each in self._traps if each[0] == at), None)
        if trap is None:
            return None
        victim = next((each for each in self._all if each.process is process), None)
        self._traps.remove(trap)
        if victim is None or trap[1] == LOSE:
            self._write(LOSE, process)
            return LOSE
        return self._do(victim, trap[1])

    def _do(self, victim: Running, deed: str) -> str | None:
        """Kill, stop or drain a worker; only lose its call when too few others are left."""
        if sum(each.runs for each in self._all) <= 2:
            self._write(LOSE, victim.process)
            return LOSE
        if deed == KILL:
            self._write(deed, victim.process, held=[])
            victim.process.kill()
            self._go(self._start())
        elif deed == STOP:
            seconds = self._rng.uniform(0.5, 2.0) * LEASE
            self._write(deed, victim.process, seconds=seconds)
            victim.process.stop()
            self.clock.call_later(seconds, victim.process.go_on)
        else:
            self._write(deed, victim.process)
            victim.is_draining = True
            victim.worker.stop()
            self._go(self._start())
        return None

    def _write(self, what: str, process: Process, **more: Any) -> None:
        self._deeds.append({"what": what, "pid": process.pid, "at": self.clock.monotonic(), **more})

    async def _until_quiet(self) -> None:
        waited = 0.0
        while waited < _QUIET and any(
            job_id not in done for done in [await self._ended()] for job_id in self.diary.stored
        ):
            await self.clock.advance(1.0)
            waited += 1.0

    async def _ended(self) -> set[str]:
        found = await self._store.get(sorted(self.diary.stored))
        return {job.id for job in found if job is not None and job.status in FINAL}

    async def _history(self, begin: Instant, end: Instant) -> History:
        pids = {each.worker.id: f"host.{each.process.pid}.worker" for each in self._all}
        jobs, integrity = await self._ground.jobs()
        instants = [Instant(at) for at in range(begin + 1, end + 1) if at % CRON_MS == 0]
        return History(
            jobs=jobs,
            events=await told(self._store, pids),
            asked=self.diary.asked,
            stored=self.diary.stored,
            began=dict(self.diary.began),
            returned=dict(self.diary.returned),
            deeds=self._deeds,
            reads=self.diary.reads,
            integrity=integrity,
            calls=self.notebook.calls,
            latest_rescue=LATEST_RESCUE,
            crons={CRON: [fire_id(CRON, at).removeprefix(f"cron:{CRON}:") for at in instants]},
        )

    async def _close(self) -> None:
        """End all workers, the killed ones too, and close all engines."""
        for each in self._all:
            each.process.go_on()
            each.process.bury()
            each.worker.stop_now()
        for each in self._all:
            with contextlib.nullcontext() if each.process.is_up else contextlib.suppress(BackendClosed):
                await self._until_done(each.task)
        for task in self._tasks:
            task.cancel()
        for engine in self._engines:
            await self._until_done(start(engine.__aexit__(None, None, None), "closing"))
